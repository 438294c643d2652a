//go:build !linux

package main

import "time"

// clockName says what now measures.
const clockName = "wall-clock time"

var start = time.Now()

func now() time.Duration { return time.Since(start) }
