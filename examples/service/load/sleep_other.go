//go:build !linux

package main

import (
	"context"
	"time"
)

func onTime() (after func()) { return func() {} }

// sleepUntil returns at a moment, or when ctx is done.
func sleepUntil(ctx context.Context, moment time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(moment)):
	}
}
