package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/adafisher-go/adafisher/bench/internal/host"
	"github.com/adafisher-go/adafisher/kernels"
)

// A line is one object in a file of results: what one run gave, or what a step of
// one optimizer costs.
type line struct {
	Kind string `json:"kind"` // "run" or "cost"
	key
	where

	// Of a run.
	Points   []point `json:"points,omitempty"`   // of the training, the last one at its end
	Failed   string  `json:"failed,omitempty"`   // why it stopped early, and where
	Layers   []layer `json:"layers,omitempty"`   // the curvature at the end, where the rule reports it
	Seconds  float64 `json:"seconds,omitempty"`  // of training by the clock on the wall, without measurements
	Parallel int     `json:"parallel,omitempty"` // runs at a time

	// Of a cost.
	Micros float64  `json:"us_per_step,omitempty"`     // CPU time, by the medians of the rounds
	Ratio  float64  `json:"ratio,omitempty"`           // to the step of Adam
	Spread float64  `json:"spread,omitempty"`          // between the quartiles of the rounds, over Micros
	Rounds int      `json:"rounds,omitempty"`          // of the measurement
	Allocs *float64 `json:"allocs_per_step,omitempty"` // of heap objects, by the whole process; the least of the rounds
}

// A key says what a line is about. No two lines of a study have the same, but for
// costs: the first one sets how many steps a rule has, the last one says what they take.
type key struct {
	Task      string  `json:"task"`
	Optimizer string  `json:"optimizer"`
	LR        float64 `json:"lr,omitempty"`
	Batch     int     `json:"batch"`
	Seed      uint64  `json:"seed"`
	Steps     int     `json:"steps,omitempty"` // 0 in a cost
}

func (k key) String() string {
	return fmt.Sprintf("%-11s  %-33s  lr %-7g  batch %-4d  seed %d", k.Task, k.Optimizer, k.LR, k.Batch, k.Seed)
}

// where is the machine and the program that a line comes from.
type where struct {
	CPU    string `json:"cpu"`
	Level  string `json:"level"` // of the kernels
	Go     string `json:"go"`
	Commit string `json:"commit"` // see host.Commit
	Date   string `json:"date"`
}

// A point is what was measured after so many steps.
type point struct {
	Step       int     `json:"step"`
	TrainLoss  float64 `json:"train_loss"` // mean since the last point
	Validation score   `json:"validation"`
	Test       *score  `json:"test,omitempty"` // nil in trials
}

// A score is what was measured on held-out samples.
type score struct {
	Loss     float64 `json:"loss"` // mean cross entropy, in nats
	Accuracy float64 `json:"accuracy"`
}

// A layer says how far a layer's curvature F differs from its damping.
type layer struct {
	Name         string  `json:"name"`
	DampingShare float64 `json:"damping_share"` // mean over F of lambda/F
	Spread       float64 `json:"spread"`        // the largest F over the smallest
	TraceH       float64 `json:"trace_h"`       // of the averages that F is made from
	TraceS       float64 `json:"trace_s"`
	Step         float64 `json:"step,omitempty"`  // mean over F of 1/F: what the learning rate is multiplied by
	Discs        *discs  `json:"discs,omitempty"` // of linear layers and convolutions, in final runs
}

func (l *line) last() point { return l.Points[len(l.Points)-1] }

// here describes this machine and program.
func here() where {
	return where{
		CPU:    host.CPU(),
		Level:  kernels.CurrentLevel().String(),
		Go:     runtime.Version(),
		Commit: host.Commit(),
		Date:   time.Now().UTC().Format(time.DateOnly),
	}
}

// A store keeps the lines of a study: one file a task, to which lines are appended
// as they come.
type store struct {
	dir   string
	where where
	mutex sync.Mutex
	lines map[key]*line
	order []*line
}

// open reads the results in a directory, which need not exist.
func open(dir string) (*store, error) {
	s := &store{dir: dir, where: here(), lines: make(map[key]*line)}
	for _, t := range tasks {
		if err := s.read(s.path(t.name)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *store) path(task string) string { return filepath.Join(s.dir, task+".jsonl") }

// read reads a file of lines. What stands behind the last line break was cut off
// when a study was killed: it does not count.
func (s *store) read(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	number := 0
	for row := range bytes.Lines(whole) {
		number++
		l := &line{}
		d := json.NewDecoder(bytes.NewReader(row))
		d.DisallowUnknownFields()
		if err := d.Decode(l); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
		if err := l.check(); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
		s.put(l)
	}
	return nil
}

// check returns an error if a line can't be what a study has written.
func (l *line) check() error {
	if _, err := taskNamed(l.Task); err != nil {
		return err
	}
	switch {
	case l.Kind == "cost" && l.Micros > 0 && l.Ratio > 0 && l.Allocs != nil:
	case l.Kind == "run" && (len(l.Points) > 0 || l.Failed != ""):
	default:
		return fmt.Errorf("kind %q: want a cost above 0, or a run with points or a failure", l.Kind)
	}
	return nil
}

// put keeps a line, unless it is a run and there is one with its key.
func (s *store) put(l *line) {
	first := s.lines[l.key] == nil
	if first {
		s.lines[l.key] = l
	}
	if first || l.Kind == "cost" {
		s.order = append(s.order, l)
	}
}

// find returns the first line with a key, or nil.
func (s *store) find(k key) *line {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.lines[k]
}

// add keeps a new line and appends it to its file.
func (s *store) add(l *line) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	l.where = s.where
	row, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path(l.Task), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(appendRow(f, row), f.Close()); err != nil {
		return err
	}
	s.put(l)
	return nil
}

// appendRow writes a row behind the last line break of a file.
func appendRow(f *os.File, row []byte) error {
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	end := int64(bytes.LastIndexByte(text, '\n') + 1)
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err = f.WriteAt(append(row, '\n'), end)
	return err
}
