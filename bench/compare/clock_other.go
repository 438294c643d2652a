//go:build !linux

package main

// clockName says what cpu measures.
const clockName = "wall-clock time"

// cpu stands for the CPU time of the process.
var cpu = wall
