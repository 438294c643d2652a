package main

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// store is the checkpoint file of a service. Without a path it keeps nothing.
type store struct {
	service *service
	path    string
	every   time.Duration

	last   atomic.Pointer[api.Checkpoint] // that is safe on the disk
	failed atomic.Uint64                  // how often one could not be written
	due    time.Time
}

// recover continues from the file, if there is one.
func (t *store) recover() error {
	if t.path == "" {
		return nil
	}
	loaded, err := checkpoint.Load(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		t.service.log.Info("no checkpoint yet", "path", t.path)
		return t.save() // a directory that can't be written is better known now
	}
	if err != nil {
		return err // not a reason to begin anew
	}
	if loaded.Skipped != nil {
		t.service.log.Warn("the newest checkpoint is not the one", "reason", loaded.Skipped, "path", loaded.Path)
	}
	if err := t.service.learner.Restore(&loaded.Content); err != nil {
		return err
	}
	t.note(&loaded.Content)
	t.service.log.Info("recovered", "path", loaded.Path, "version", t.service.predictor.Version())
	return nil
}

// saveIfDue is called with each version.
func (t *store) saveIfDue() {
	if t.path == "" || time.Now().Before(t.due) {
		return
	}
	if err := t.save(); err != nil {
		t.service.log.Error("no checkpoint", "error", err)
	}
}

// saveLast saves what has been published since the last checkpoint.
func (t *store) saveLast() error {
	if last := t.last.Load(); last != nil && last.Version == t.service.predictor.Version() {
		return nil
	}
	return t.save()
}

// save writes the learner's state. When it returns nil, the state is on the disk.
func (t *store) save() error {
	if t.path == "" {
		return nil
	}
	t.due = time.Now().Add(t.every)
	c := t.service.learner.Checkpoint()
	if err := checkpoint.Save(t.path, c); err != nil {
		t.failed.Add(1)
		return err
	}
	t.note(c)
	return nil
}

func (t *store) note(c *checkpoint.Content) {
	t.last.Store(&api.Checkpoint{
		Version: c.Uints["serve/version"],
		Steps:   c.Ints["optimizer/steps"],
		SHA256:  api.Digest(c),
		Written: time.Now(),
	})
}
