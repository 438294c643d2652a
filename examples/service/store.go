package main

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// store is the checkpoint file of a service. Without a path it keeps nothing.
type store struct {
	service *service
	path    string

	last   atomic.Pointer[api.Checkpoint] // that is safe on the disk
	failed atomic.Uint64                  // how often one could not be written
}

// recover continues from the file, if there is one.
func (t *store) recover() error {
	if t.path == "" {
		return nil
	}
	learner, log := t.service.learner, t.service.log
	loaded, err := checkpoint.Load(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		log.Info("no checkpoint yet", "path", t.path)
		return t.save(learner.Checkpoint()) // a directory that can't be written is better known now
	}
	if err != nil {
		return err // not a reason to begin anew
	}
	if loaded.Skipped != nil {
		log.Warn("the newest checkpoint is not the one", "reason", loaded.Skipped, "path", loaded.Path)
	}
	if err := learner.Restore(&loaded.Content); err != nil {
		return err
	}
	var written time.Time
	if info, err := os.Stat(loaded.Path); err == nil {
		written = info.ModTime()
	}
	t.note(&loaded.Content, written)
	log.Info("recovered", "path", loaded.Path, "version", t.service.predictor.Version())
	if loaded.Skipped != nil {
		// One good copy is one too few.
		if err := t.save(learner.Checkpoint()); err != nil {
			log.Error("checkpoint not saved", "error", err)
		}
	}
	return nil
}

// save writes a checkpoint. When it returns nil, that is on the disk.
func (t *store) save(c *checkpoint.Content) error {
	if err := checkpoint.Save(t.path, c); err != nil {
		t.failed.Add(1)
		return err
	}
	t.note(c, time.Now())
	return nil
}

// note remembers a checkpoint that is on the disk.
func (t *store) note(c *checkpoint.Content, written time.Time) {
	t.last.Store(&api.Checkpoint{
		Version: c.Uints["serve/version"],
		Steps:   c.Ints["optimizer/steps"],
		SHA256:  api.Digest(c),
		Written: written,
	})
}
