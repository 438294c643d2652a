package main

import (
	"context"
	"errors"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/serve"
)

// demonstrate teaches the images of the stream, at the given rate a second and
// over and over in new orders, and asks for predictions of held-out ones over
// HTTP, until ctx is done.
func (s *service) demonstrate(ctx context.Context, rate int, base string) error {
	batches, err := nn.NewBatches(s.stream.Len(), 1, s.seed)
	if err != nil {
		return err
	}
	client := api.NewClient(base, "", 1)
	defer client.Close()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	in := s.model.In()
	asked := 0
	for epoch := 0; ; epoch++ {
		for index := range batches.Epoch(epoch) {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			x, label := s.stream.X[index[0]*in:][:in], s.stream.Labels[index[0]]
			if err := s.learner.Learn(x, label); err != nil && !errors.Is(err, serve.ErrFull) && ctx.Err() == nil {
				return err
			}
			if asked++; asked%4 == 0 {
				x := s.held.X[asked%s.held.Len()*in:][:in]
				if _, err := client.Predict(ctx, api.Predict{Input: x}); err != nil && ctx.Err() == nil {
					s.log.Warn("demonstration", "error", err)
				}
			}
		}
	}
}
