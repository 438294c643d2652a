module github.com/adafisher-go/adafisher/bench

go 1.26.0
