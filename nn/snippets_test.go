package nn_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSnippets: what README.md and the packages' comments show is what the examples
// compile and run, paragraph by paragraph, apart from comments and checks of errors.
func TestSnippets(t *testing.T) {
	var examples []string
	for _, pattern := range []string{"example_test.go", "*/example_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			examples = append(examples, "\n"+strings.Join(slices.Concat(paragraphs(string(text))...), "\n")+"\n")
		}
	}
	for file, least := range map[string]int{
		"../README.md":      3,
		"doc.go":            6,
		"serve/doc.go":      1,
		"checkpoint/doc.go": 1,
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		blocks := snippets(file, string(text))
		require.GreaterOrEqual(t, len(blocks), least, file)
		for _, block := range blocks {
			for _, p := range paragraphs(block) {
				want := "\n" + strings.Join(p, "\n") + "\n"
				found := slices.ContainsFunc(examples, func(e string) bool { return strings.Contains(e, want) })
				require.True(t, found, "%s shows what no example does:%s", file, want)
			}
		}
	}
}

// snippets returns the Go code in a Markdown file, or in the package's comment: there
// what is indented and has an assignment.
func snippets(file, text string) (blocks []string) {
	if strings.HasSuffix(file, ".md") {
		for _, m := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1) {
			blocks = append(blocks, m[1])
		}
		return blocks
	}
	for _, m := range regexp.MustCompile(`(?m)(^//\t.*\n(//\n)?)+`).FindAllString(text, -1) {
		if strings.Contains(m, "=") {
			blocks = append(blocks, regexp.MustCompile(`(?m)^//\t?`).ReplaceAllString(m, ""))
		}
	}
	return blocks
}

var (
	comment = regexp.MustCompile(`(^|\s+)//( .*)?$`)
	space   = regexp.MustCompile(`\s+`)
	check   = regexp.MustCompile(`(?m)^\s*if err != nil \{\n\s*log\.Fatal\(err\)\n\s*\}\n`)
)

// paragraphs returns the lines of code, of one form, between blank lines.
func paragraphs(code string) (all [][]string) {
	var p []string
	for line := range strings.Lines(check.ReplaceAllString(code, "") + "\n\n") {
		bare := strings.TrimSpace(line)
		if bare == "" && len(p) > 0 {
			all = append(all, p)
			p = nil
		}
		if line = strings.TrimSpace(comment.ReplaceAllString(bare, "")); line != "" {
			p = append(p, space.ReplaceAllString(line, " "))
		}
	}
	return all
}
