// Package data is what lies between files and a training loop: readers of the
// usual data sets, images and text in little memory, augmentation that repeats,
// and shuffled mini-batches.
//
//	train, test, err := data.FashionMNIST("")
//	mean, std := train.MeanStd()
//	augmented, err := train.Transform(seed,
//		data.Crop{Padding: 2}, data.Flip{}, data.Normalize{Mean: mean, Std: std})
//	loader, err := data.NewLoader(augmented, 64, seed)
//	for b := range loader.Len() {
//		x, labels, err := loader.Batch(epoch, b)
//		loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
//	}
//
// # Sources
//
// A [Source] gives samples by number, and many at a time. [Images] are one, kept
// as bytes and converted batch by batch; [Transformed] images and the [Windows]
// of a text are others, and [Samples] are for a caller's own numbers, with labels or
// with the targets of a regression. A program may have its own source. A [Loader]
// cuts any of them into mini-batches.
//
// # Layout
//
// A batch is flat and row-major, one row a sample. An image is [height, width,
// channels], the layout of package nn, also where the file has the channels
// apart. A token is a number from 0 on, exact in float32.
//
// # Numbers
//
// All numbers have the same bits on every machine. Whatever is drawn at random
// follows from a seed, the number of the epoch and the number of the sample
// alone, and not from the batch that the sample comes in: a run resumes at any
// batch of any epoch as if it had never stopped.
//
// # Errors
//
// No call panics on a file's contents or a caller's sizes. A reader refuses what
// it does not understand to the last byte, with an error that names the file,
// and never allocates for more than the file really holds.
package data
