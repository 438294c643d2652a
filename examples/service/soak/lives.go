package main

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/examples/service/harness"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

const (
	lostCheckpoints = "acknowledged checkpoints lost"
	wrongAnswers    = "answers that are not their version's"
)

// A life is one process of the service, from start to end.
type life struct {
	*soak
	process *harness.Process
	judge   *judge

	mu       sync.Mutex
	acked    api.Checkpoint // the newest that the service said was on the disk
	finished bool           // the process is about to be killed: errors are no faults
}

// concurrency is what the service may work on at the same time: more than the soak
// asks for.
const concurrency = 8

// start starts the service and waits until it answers.
func (s *soak) start(ctx context.Context) (*life, error) {
	begin := time.Now()
	process, err := harness.Start(s.program,
		"-checkpoint", s.path, "-checkpoint-every", "20", "-publish-steps", "4", "-queue", "256", "-max-body", "160", "-timeout", "2", "-concurrency", strconv.Itoa(concurrency))
	if err != nil {
		return nil, err
	}
	l := &life{soak: s, process: process}
	client := api.NewClient(process.URL, harness.Token, 1)
	defer client.Close()
	for {
		err := client.Ready(ctx)
		if err == nil {
			break
		}
		if time.Since(begin) > time.Minute || ctx.Err() != nil {
			return nil, errors.Join(err, process.Kill())
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(begin)
	s.longestStart = max(s.longestStart, took)
	if took > s.patience {
		s.fault("a service answered only %v after its start", took)
	}
	m, err := client.Model(ctx)
	if err == nil {
		l.acked = s.resumed(m)
		l.judge, err = newJudge(process.URL, l)
	}
	if err != nil {
		return nil, errors.Join(err, process.Kill())
	}
	return l, nil
}

// resumed checks what a service says that has just started: nobody has taught it
// yet, so it must have what the one before left on the disk. It returns what the
// service acknowledges.
func (s *soak) resumed(m api.Model) api.Checkpoint {
	if m.Checkpoint == nil {
		s.count(lostCheckpoints)
		s.fault("the service has a file and says that it has none")
		return s.onDisk
	}
	said, want := *m.Checkpoint, s.onDisk
	switch {
	case want.SHA256 == "":
		s.count("starts from nothing")
	case said.Version != want.Version || said.SHA256 != want.SHA256 || m.Version != want.Version:
		s.count(lostCheckpoints)
		s.fault("version %d was on the disk (%.8s), and the service started with version %d, and says that version %d is on the disk (%.8s)",
			want.Version, want.SHA256, m.Version, said.Version, said.SHA256)
	default:
		s.count("starts from the checkpoint on the disk")
	}
	return said
}

// failed counts an error of a request; it is a fault unless the process was
// killed or the request was refused as it may be.
func (l *life) failed(what string, err error, allowed ...string) {
	var r *api.Refused
	if errors.As(err, &r) {
		l.count(what + " refused: " + r.Failure.Error.Code)
		for _, code := range allowed {
			if r.Failure.Error.Code == code {
				return
			}
		}
		l.fault("%s: %v", what, err)
		return
	}
	l.mu.Lock()
	finished := l.finished
	l.mu.Unlock()
	if finished {
		l.count(what + " cut off by a kill")
		return
	}
	l.fault("%s: %v", what, err)
}

// work sends everything at the service until ctx is done.
func (l *life) work(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	for worker := range uint64(4) {
		wg.Go(func() { l.predict(ctx, worker) })
	}
	wg.Go(func() { l.teach(ctx) })
	wg.Go(func() { l.watch(ctx) })
	wg.Go(func() { l.judge.run(ctx) })
	wg.Go(func() { l.flood(ctx) })
	for worker := range uint64(2) {
		wg.Go(func() { l.attack(ctx, worker) })
	}
	return wg.Wait
}

// watch remembers what the service says is on the disk.
func (l *life) watch(ctx context.Context) {
	client := api.NewClient(l.process.URL, "", 1)
	defer client.Close()
	for ctx.Err() == nil {
		m, err := client.Model(ctx)
		switch {
		case err == nil && m.Checkpoint != nil:
			l.mu.Lock()
			if m.Checkpoint.SHA256 != l.acked.SHA256 {
				l.acked = *m.Checkpoint
				l.soak.count("checkpoints acknowledged")
			}
			l.mu.Unlock()
		case err == nil:
			l.fault("the service has a file and says that it has none")
		case ctx.Err() == nil:
			l.failed("description", err)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// killing starts and kills services until the deadline, or so many times.
func (s *soak) killing(ctx context.Context, deadline time.Time, kills int) error {
	random := rand.New(rand.NewPCG(s.seed, 1))
	for n := 0; n < kills && time.Now().Before(deadline) && ctx.Err() == nil; n++ {
		l, err := s.start(ctx)
		if err != nil {
			return err
		}
		working, stop := context.WithCancel(ctx)
		wait := l.work(working)
		// As long as it takes to do all kills in time, but never the same.
		mean := time.Until(deadline) / time.Duration(kills-n)
		lifetime := time.Duration(float64(min(mean, 3*time.Second)) * random.Float64())
		select {
		case <-time.After(lifetime):
		case <-l.process.Ended():
			s.fault("the service ended by itself: %v", l.process.Log())
		case <-ctx.Done():
		}
		l.mu.Lock()
		l.finished = true
		l.mu.Unlock()
		if err := l.process.Kill(); err != nil {
			stop()
			return err
		}
		stop()
		wait()
		l.judge.finish()
		s.count("kills survived")
		s.inspect(l.acked)
	}
	return ctx.Err()
}

// inspect checks the files that a killed service left.
func (s *soak) inspect(acked api.Checkpoint) {
	previous, err := os.ReadFile(s.path + ".prev")
	if err == nil {
		_, err = checkpoint.Decode(previous)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.fault("after a kill the previous file: %v", err)
	}
	if files, err := os.ReadDir(filepath.Dir(s.path)); err != nil || len(files) > 4 {
		s.fault("after a kill there are %d files: want at most 4, two of them unfinished (%v)", len(files), err)
	}
	loaded, err := checkpoint.Load(s.path)
	if err != nil {
		s.count(lostCheckpoints)
		s.fault("after a kill: %v", err)
		return
	}
	if loaded.Skipped != nil && !errors.Is(loaded.Skipped, fs.ErrNotExist) {
		s.fault("after a kill the newest file is damaged: %v", loaded.Skipped)
	}
	version := loaded.Uints["serve/version"]
	s.onDisk = api.Checkpoint{Version: version, SHA256: api.Digest(&loaded.Content)}
	switch {
	case version < acked.Version:
		s.count(lostCheckpoints)
		s.fault("version %d was acknowledged, and %d is on the disk", acked.Version, version)
	case version == acked.Version && s.onDisk.SHA256 != acked.SHA256:
		s.count(lostCheckpoints)
		s.fault("version %d on the disk has other bits than were acknowledged", version)
	case version == acked.Version:
		s.count("checkpoints loaded, with the bits acknowledged")
	default:
		s.count("checkpoints loaded, newer than the last one acknowledged")
	}
	files, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		s.fault("%v", err)
	}
	for _, f := range files {
		if name := f.Name(); name != filepath.Base(s.path) && name != filepath.Base(s.path)+".prev" {
			s.fault("%s lies about after the checkpoint was loaded", name)
		}
	}
}

// living keeps one service until the deadline, weighs it after three tenths of that
// time and at the end, and stops it.
func (s *soak) living(ctx context.Context, deadline time.Time) error {
	l, err := s.start(ctx)
	if err != nil {
		return err
	}
	lived := time.Until(deadline)
	for _, r := range []*reading{&s.before, &s.after} {
		until := deadline
		if r == &s.before {
			until = time.Now().Add(time.Until(deadline) * 3 / 10) // for what it keeps from then on
		}
		working, stop := context.WithCancel(ctx)
		wait := l.work(working)
		pause(ctx, time.Until(until))
		stop()
		wait()
		if *r, err = l.weigh(ctx); err != nil {
			s.fault("memory of the service that should live: %v: %v", err, l.process.Log())
			return errors.Join(ctx.Err(), l.process.Kill())
		}
	}
	if lived >= settled {
		s.checkMemory(s.before, s.after)
	}
	l.mu.Lock()
	l.finished = true
	l.mu.Unlock()
	if err := l.process.Stop(); err != nil {
		s.fault("the service did not end as it should: %v", err)
	}
	l.judge.finish()
	s.inspect(l.acked)
	return nil
}
