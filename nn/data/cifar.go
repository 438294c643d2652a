package data

import (
	"bufio"
	"errors"
)

const (
	cifarSide     = 32
	cifarPlane    = cifarSide * cifarSide
	cifarChannels = 3
	cifarClasses  = 10
	cifarRecord   = 1 + cifarChannels*cifarPlane
)

// ReadCIFAR10 reads files of the binary version of CIFAR-10 (Krizhevsky 2009)
// into one set, in their order. A file is records of 3073 bytes: the label, from 0
// to 9, and the red, green and blue plane of an image of 32x32.
//
// It fails on a file that is not a whole number of records, or none, and on a
// label out of range. It allocates what the files hold.
func ReadCIFAR10(files ...string) (*Images, error) {
	opened := make([]*file, len(files))
	for i, path := range files {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		opened[i] = f
	}
	return readCIFAR10(opened)
}

// readCIFAR10 knows the size of every file before it allocates anything.
func readCIFAR10(files []*file) (*Images, error) {
	if len(files) == 0 {
		return nil, errors.New("data: ReadCIFAR10: no files")
	}
	total := uint64(0)
	for _, f := range files {
		if f.left == 0 || f.left%cifarRecord != 0 {
			return nil, f.errorf("%d bytes: want one or more records of %d, a label and an image of 32x32 in 3 colours", f.left, cifarRecord)
		}
		if total += f.left; total > maxBytes {
			return nil, f.errorf("too large for memory: want at most %d bytes", maxBytes)
		}
	}
	n := int(total / cifarRecord)
	pixels, labels := make([]uint8, 0, n*(cifarRecord-1)), make([]uint8, 0, n)
	buffer := bufio.NewReaderSize(nil, bufferSize)
	var record [cifarRecord]byte
	for _, f := range files {
		buffer.Reset(f.r)
		f.r = buffer
		first := len(labels)
		for f.left > 0 {
			if err := f.fill(record[:]); err != nil {
				return nil, err
			}
			labels = append(labels, record[0])
			planes := record[1:]
			for i := range cifarPlane {
				pixels = append(pixels, planes[i], planes[cifarPlane+i], planes[2*cifarPlane+i])
			}
		}
		if err := checkLabels(labels[first:], cifarClasses); err != nil {
			return nil, f.errorf("%w", err)
		}
	}
	return &Images{cifarSide, cifarSide, cifarChannels, cifarClasses, pixels, labels}, nil
}
