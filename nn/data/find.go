package data

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A collection is a data set that has a name: its files, and how to get them.
type collection struct {
	name  string
	how   string // to get it
	files []string
}

var mnistFiles = []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}

var (
	mnist = collection{
		name:  "mnist",
		how:   "put there " + strings.Join(mnistFiles, ", ") + ", plain or as .gz",
		files: mnistFiles,
	}
	fashionMNIST = collection{
		name:  "fashion-mnist",
		how:   "apt-get install dataset-fashion-mnist",
		files: mnistFiles,
	}
	cifar10 = collection{
		name:  "cifar-10-batches-bin", // as the archive unpacks
		how:   "unpack cifar-10-binary.tar.gz there",
		files: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"},
	}
)

// MNIST reads the handwritten digits of MNIST (LeCun, Cortes and Burges), 60,000
// images to train on and 10,000 to test with, of 28x28 and in 10 classes.
//
// It looks in dir and nowhere else. If dir is empty, it looks in the directory
// that the environment variable ADAFISHER_DATA names, and then in
// /usr/share/datasets/mnist. In the first two the files lie in the subdirectory
// "mnist" or directly. Where none has them all, the error matches
// [fs.ErrNotExist]; in one line, it lists what was tried and says how to get the
// files. Files that are wrong are an error of [ReadIDX].
func MNIST(dir string) (train, test *Images, err error) { return mnist.readIDX(dir) }

// FashionMNIST reads the pictures of clothes of Fashion-MNIST (Xiao, Rasul and
// Vollgraf 2017), as [MNIST] does; the subdirectory is "fashion-mnist". Debian
// has them as the package dataset-fashion-mnist.
func FashionMNIST(dir string) (train, test *Images, err error) { return fashionMNIST.readIDX(dir) }

// CIFAR10 reads the small photographs of CIFAR-10 (Krizhevsky 2009), 50,000 to
// train on and 10,000 to test with, of 32x32 in 3 colours and in 10 classes, from
// the files of the binary version. It looks for them as [MNIST] does; the
// subdirectory is "cifar-10-batches-bin", as the archive has it.
func CIFAR10(dir string) (train, test *Images, err error) {
	files, err := cifar10.find(dir)
	if err != nil {
		return nil, nil, err
	}
	last := len(files) - 1
	if train, err = ReadCIFAR10(files[:last]...); err != nil {
		return nil, nil, err
	}
	if test, err = ReadCIFAR10(files[last]); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}

func (c collection) readIDX(dir string) (train, test *Images, err error) {
	const classes = 10
	files, err := c.find(dir)
	if err != nil {
		return nil, nil, err
	}
	if train, err = ReadIDX(files[0], files[1], classes); err != nil {
		return nil, nil, err
	}
	if test, err = ReadIDX(files[2], files[3], classes); err != nil {
		return nil, nil, err
	}
	if train.height != test.height || train.width != test.width {
		return nil, nil, fmt.Errorf("data: %s: images of %dx%d: want %dx%d, as in %s", files[2], test.height, test.width, train.height, train.width, files[0])
	}
	return train, test, nil
}

// systemDir is where Debian's packages put data sets.
var systemDir = "/usr/share/datasets"

// variable names the environment variable for another place.
const variable = "ADAFISHER_DATA"

// find returns the paths of the collection's files. A directory that is given is
// the only one: what was asked for is not replaced by other data.
func (c collection) find(dir string) ([]string, error) {
	dirs, note := []string{filepath.Join(systemDir, c.name)}, ""
	if dir != "" {
		dirs = []string{filepath.Join(dir, c.name), filepath.Clean(dir)}
	} else if dir = os.Getenv(variable); dir != "" {
		dirs = []string{filepath.Join(dir, c.name), filepath.Clean(dir), dirs[0]}
	} else {
		note = "; " + variable + " is not set"
	}
	var tried []string
	for _, d := range dirs {
		files, missing := c.in(d)
		if missing == "" {
			return files, nil
		}
		tried = append(tried, fmt.Sprintf("%s (no %s)", d, missing))
	}
	return nil, notFound(fmt.Sprintf("data: %s not found: tried %s%s; to get it: %s", c.name, strings.Join(tried, ", "), note, c.how))
}

// in returns the paths of the collection's files in a directory, or which of
// them is missing.
func (c collection) in(dir string) (files []string, missing string) {
	for _, name := range c.files {
		path := locate(dir, name)
		if path == "" {
			return nil, name
		}
		files = append(files, path)
	}
	return files, ""
}

// locate returns the path of a file, plain or compressed, or "".
func locate(dir, name string) string {
	for _, ending := range []string{"", ".gz"} {
		path := filepath.Join(dir, name+ending)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// notFound is the error for a data set that is nowhere.
type notFound string

func (e notFound) Error() string { return string(e) }

func (notFound) Is(target error) bool { return target == fs.ErrNotExist }
