module github.com/adafisher-go/adafisher/internal/gen

go 1.26.0
