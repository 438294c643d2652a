package main

import (
	"container/list"
	"sync"
)

// A crowd holds those who keep the service waiting, at most so many. Who comes to a
// full one takes the place of the one who has been quiet the longest: those who send
// what they owe are gone long before, however many others never do.
type crowd[K comparable] struct {
	room   int
	giveUp func(K) // must not wait: the crowd is locked meanwhile

	mu     sync.Mutex
	quiet  list.List // the longest quiet first
	places map[K]*list.Element
}

func newCrowd[K comparable](room int, giveUp func(K)) *crowd[K] {
	return &crowd[K]{room: room, giveUp: giveUp, places: make(map[K]*list.Element)}
}

// see takes a place for k, or notes that it was not quiet just now.
func (c *crowd[K]) see(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if place := c.places[k]; place != nil {
		c.quiet.MoveToBack(place)
		return
	}
	if len(c.places) >= c.room {
		first := c.quiet.Remove(c.quiet.Front()).(K)
		delete(c.places, first)
		c.giveUp(first)
	}
	c.places[k] = c.quiet.PushBack(k)
}

// leave gives the place of k back, and reports whether it still had one. After that
// k isn't given up any more.
func (c *crowd[K]) leave(k K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.places[k]
	if place == nil {
		return false
	}
	c.quiet.Remove(place)
	delete(c.places, k)
	return true
}

func (c *crowd[K]) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.places)
}
