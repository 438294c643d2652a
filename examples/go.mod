module github.com/adafisher-go/adafisher/examples

go 1.26.0
