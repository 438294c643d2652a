package data

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/adafisher-go/adafisher/nn"
)

// ReadIDX reads images and their labels from two files in the IDX format of
// MNIST (LeCun, Cortes and Burges), plain or compressed with gzip:
//
//	images: 00 00 08 03, then n, height and width as big-endian uint32, then n*height*width pixels
//	labels: 00 00 08 01, then n as big-endian uint32, then n labels
//
// Pixels and labels are bytes; labels are from 0 to classes-1. The images have one
// channel.
//
// It fails unless both files are complete to the last byte and agree on n. It
// allocates what a file holds, whatever its header says.
func ReadIDX(images, labels string, classes int) (*Images, error) {
	i, err := open(images)
	if err != nil {
		return nil, err
	}
	defer i.Close()
	l, err := open(labels)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return readIDX(i, l, classes)
}

func readIDX(images, labels *file, classes int) (*Images, error) {
	if err := checkClasses(classes); err != nil {
		return nil, fmt.Errorf("data: ReadIDX: %w", err)
	}
	var size [3]uint32 // n, height, width
	if err := readIDXHeader(images, "images", size[:]); err != nil {
		return nil, err
	}
	var count [1]uint32
	if err := readIDXHeader(labels, "labels", count[:]); err != nil {
		return nil, err
	}
	if size[0] != count[0] {
		return nil, labels.errorf("%d labels for the %d images in %s", count[0], size[0], images.name)
	}
	l, err := labels.rest(uint64(count[0]), fmt.Sprintf("%d labels", count[0]))
	if err != nil {
		return nil, err
	}
	if err := checkLabels(l, classes); err != nil {
		return nil, labels.errorf("%w", err)
	}
	n := maxBytes + 1
	if high, low := bits.Mul64(uint64(size[0])*uint64(size[1]), uint64(size[2])); high == 0 {
		n = low
	}
	p, err := images.rest(n, fmt.Sprintf("%d images of %dx%d", size[0], size[1], size[2]))
	if err != nil {
		return nil, err
	}
	set, err := newImages(nn.Shape{int(size[1]), int(size[2]), 1}, classes, p, l)
	if err != nil {
		return nil, images.errorf("%w", err)
	}
	return set, nil
}

// readIDXHeader reads the header of an array of bytes with len(size) dimensions.
func readIDXHeader(f *file, what string, size []uint32) error {
	if err := f.unpack(); err != nil {
		return err
	}
	var word [4]byte
	if err := f.fill(word[:]); err != nil {
		return err
	}
	want := 0x800 + uint32(len(size))
	if magic := binary.BigEndian.Uint32(word[:]); magic != want {
		return f.errorf("magic number %#08x: want %#08x, that of an IDX file of %s", magic, want, what)
	}
	for i := range size {
		if err := f.fill(word[:]); err != nil {
			return err
		}
		size[i] = binary.BigEndian.Uint32(word[:])
	}
	return nil
}
