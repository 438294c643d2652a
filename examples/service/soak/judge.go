package main

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data/digits"
	"github.com/adafisher-go/adafisher/nn/models"
)

// A judge compares answers with the weights of their versions, which it asks the
// service for.
type judge struct {
	life      *life
	model     *nn.Model // whose clones hold the versions
	predictor *nn.Predictor
	fetch     *api.Client

	mu       sync.Mutex
	versions map[uint64]*nn.Model
	waiting  map[uint64][]verdict // answers of versions that are not known yet
}

// A verdict is one answer that is to be judged.
type verdict struct {
	image int
	got   api.Prediction
}

func newJudge(base string, l *life) (*judge, error) {
	m, err := models.MLP(digits.Pixels, 128, 64, digits.Classes)
	if err != nil {
		return nil, err
	}
	p, err := m.NewPredictor(1)
	if err != nil {
		return nil, err
	}
	return &judge{
		life: l, model: m, predictor: p, fetch: api.NewClient(base, "", 1),
		versions: make(map[uint64]*nn.Model), waiting: make(map[uint64][]verdict),
	}, nil
}

// run fetches the weights of versions as they appear.
func (j *judge) run(ctx context.Context) {
	defer j.fetch.Close()
	for ctx.Err() == nil {
		body, header, err := j.fetch.Get(ctx, "/v1/weights")
		if err != nil {
			if ctx.Err() == nil {
				j.life.failed("weights", err)
			}
			pause(ctx, 10*time.Millisecond)
			continue
		}
		version, err := strconv.ParseUint(header.Get(api.VersionHeader), 10, 64)
		if err != nil {
			j.life.fault("weights of version %q", header.Get(api.VersionHeader))
			return
		}
		j.learn(version, body)
		pause(ctx, 10*time.Millisecond)
	}
}

// learn takes the weights of a version, and judges the answers that wait for
// them.
func (j *judge) learn(version uint64, file []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if m := j.versions[version]; m != nil {
		var again bytes.Buffer
		if err := m.WriteSafetensors(&again); err != nil || !bytes.Equal(again.Bytes(), file) {
			j.life.fault("version %d has other weights than before (%v)", version, err)
		}
		return
	}
	m, err := j.model.Clone()
	if err == nil {
		err = m.ReadSafetensors(file)
	}
	if err != nil {
		j.life.fault("weights of version %d: %v", version, err)
		return
	}
	j.versions[version] = m
	j.life.count("versions seen")
	for _, v := range j.waiting[version] {
		j.decide(m, version, v)
	}
	delete(j.waiting, version)
}

// answer judges a prediction, now or when its version is known.
func (j *judge) answer(version uint64, image int, got api.Prediction) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := verdict{image, got}
	if m := j.versions[version]; m != nil {
		j.decide(m, version, v)
		return
	}
	j.waiting[version] = append(j.waiting[version], v)
}

func (j *judge) decide(m *nn.Model, version uint64, v verdict) {
	s := j.life.soak
	err := j.predictor.SetModel(m)
	if err != nil {
		s.fault("%v", err)
		return
	}
	want, err := j.predictor.Predict(s.images.X[64*v.image:][:64])
	if err != nil {
		s.fault("%v", err)
		return
	}
	kernels.Softmax(want, want)
	right := len(v.got.Probabilities) == len(want) && v.got.Class == kernels.ArgMax(want)
	for i, p := range v.got.Probabilities {
		right = right && math.Float32bits(p) == math.Float32bits(want[i])
	}
	if !right {
		s.count(wrongAnswers)
		s.fault("version %d, image %d: got %v, want %v", version, v.image, v.got, want)
		return
	}
	s.count("answers checked, with the bits of their version")
}

// finish counts what could not be judged: answers of versions that were replaced
// before their weights could be asked for.
func (j *judge) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, left := range j.waiting {
		j.life.add("answers of versions too short-lived to be seen", len(left))
	}
}
