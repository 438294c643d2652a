package models

import (
	"fmt"
	"strconv"

	"github.com/adafisher-go/adafisher/nn"
)

// CNN returns a convolutional network for images [height, width, channels]: for
// each of the given widths two 3x3 convolutions with batch normalisation and
// ReLU, and max pooling by 2 after each width but the last; then the mean over
// the image and a linear layer.
func CNN(image nn.Shape, classes int, widths ...int) (*nn.Model, error) {
	if len(image) != 3 || len(widths) == 0 {
		return nil, fmt.Errorf("models: CNN: image of shape %v, %d widths: want [height, width, channels] and at least 1 width", image, len(widths))
	}
	var layers []nn.Layer
	channels := image.Features()
	for i, width := range widths {
		if i > 0 {
			layers = append(layers, nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}))
		}
		for range 2 {
			layers = append(layers, conv3x3(channels, width, 1), nn.BatchNorm(), nn.ReLU())
			channels = width
		}
	}
	return nn.New(image, append(layers, nn.Mean(), nn.Linear(channels, classes))...)
}

// conv3x3 keeps the size of an image where the stride is 1. A batch normalisation
// after it makes a bias useless.
func conv3x3(in, out, stride int) nn.Layer {
	return nn.Conv2d(in, out, nn.Conv{
		Kernel: nn.Square(3), Stride: nn.Square(stride), Padding: nn.Square(1), NoBias: true,
	})
}

// ResNet20 returns the residual network of 20 layers for 32x32 images with three
// channels (He et al., arXiv 1512.03385, section 4.2), with 1x1 convolutions as
// shortcuts where the size changes. Parameters are named as in torchvision's
// networks: "layer2.0.conv1.weight".
func ResNet20(classes int) (*nn.Model, error) {
	layers := []nn.Layer{nn.Named("conv1", conv3x3(3, 16, 1)), nn.Named("bn1", nn.BatchNorm()), nn.ReLU()}
	in := 16
	for i, out := range []int{16, 32, 64} {
		var stage []nn.Layer
		for range 3 {
			stride := out / in
			stage = append(stage, basicBlock(in, out, stride))
			in = out
		}
		layers = append(layers, nn.Named("layer"+strconv.Itoa(i+1), nn.Sequential(stage...)))
	}
	return nn.New(nn.Shape{32, 32, 3}, append(layers, nn.Mean(), nn.Named("fc", nn.Linear(64, classes)))...)
}

// basicBlock is relu(shortcut(x) + bn(conv(relu(bn(conv(x)))))).
func basicBlock(in, out, stride int) nn.Layer {
	body := []nn.Layer{
		nn.Named("conv1", conv3x3(in, out, stride)), nn.Named("bn1", nn.BatchNorm()), nn.ReLU(),
		nn.Named("conv2", conv3x3(out, out, 1)), nn.Named("bn2", nn.BatchNorm()),
	}
	sum := nn.Residual(body...)
	if stride != 1 || in != out {
		shortcut := nn.Conv2d(in, out, nn.Conv{Kernel: nn.Square(1), Stride: nn.Square(stride), NoBias: true})
		sum = nn.ResidualVia(nn.Sequential(shortcut, nn.BatchNorm()), body...)
	}
	return nn.Sequential(nn.Named("", sum), nn.ReLU())
}
