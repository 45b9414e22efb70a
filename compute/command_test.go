package compute

import (
	"slices"
	"strings"
	"testing"
)

func TestCommandLinesSplitIntoWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		`echo`:                            {"echo"},
		"  echo\ta \n b ":                 {"echo", "a", "b"},
		`/bin/sh -c "echo $A | wc -l"`:    {"/bin/sh", "-c", "echo $A | wc -l"},
		`/bin/sh -c 'echo "two words"'`:   {"/bin/sh", "-c", `echo "two words"`},
		`a "" '' b`:                       {"a", "", "", "b"},
		`a\ b "c\"d" "e\f" '\g' \\ "\\"`:  {"a b", `c"d`, `e\f`, `\g`, `\`, `\`},
		`pre"mid"'post'`:                  {"premidpost"},
		"a 'line\nbreak' \"tab\there\"":   {"a", "line\nbreak", "tab\there"},
		"python3 -c 'print(\"größe\")'":   {"python3", "-c", `print("größe")`},
		`echo $HOME ~ * > x && y; z | w&`: {"echo", "$HOME", "~", "*", ">", "x", "&&", "y;", "z", "|", "w&"},
	} {
		if got, err := splitCommand(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("splitCommand(%q) = %q, %v; want %q", line, got, err, want)
		}
	}
	for _, line := range []string{"", "   ", `'`, `a 'b`, `a "b`, `a "b\"`, `a \`, `"" a`, "a\x00b"} {
		if got, err := splitCommand(line); err == nil {
			t.Errorf("splitCommand(%q) = %q, want an error", line, got)
		}
	}
}

func FuzzQuotedWordsComeBack(f *testing.F) {
	f.Add("a b", `it's`, "")
	f.Add(`\`, `"$x"`, "\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if strings.ContainsRune(a+b+c, 0) || a == "" {
			t.Skip("no program has no name, and no argument has a zero byte")
		}
		words := []string{a, b, c}
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, `'`+strings.ReplaceAll(word, `'`, `'\''`)+`'`)
		}
		if got, err := splitCommand(strings.Join(quoted, " ")); err != nil || !slices.Equal(got, words) {
			t.Errorf("splitCommand(%q) = %q, %v; want %q", quoted, got, err, words)
		}
	})
}

func TestWayAroundHiddenPaths(t *testing.T) {
	t.Parallel()
	way := &trail{}
	way.add("/srv/data")
	way.add("/srv/data/nodes")
	way.add("/tmp/x/y")
	for path, clear := range map[string]bool{
		"/tmp": false, "/tmp/x": false, "/tmp/x/y": false, "/tmp/x/y/z": false, "/tmp/z": true,
		"/var/tmp": true, "/srv": false, "/srv/data/other": false, "/srv/database": true,
	} {
		if got := way.clear(path); got != clear {
			t.Errorf("clear(%s) = %v, want %v", path, got, clear)
		}
	}
}
