package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// A screen tells the story while it happens: with a bar that moves on a terminal, in
// whole lines anywhere else. What was measured is kept for the table at the end.
type screen struct {
	out io.Writer
	// width is the terminal's, 0 if out is none.
	width int
	rows  [][2]string
	// line is true while the bar stands on the last line.
	line bool
	// said is when a line about progress was last written.
	said time.Time
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.width = 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			s.width = w
		}
	}
	return s
}

// say writes a line.
func (s *screen) say(format string, args ...any) {
	s.wipe()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// doing shows what is being waited for, on a terminal only.
func (s *screen) doing(title string) { s.bar("  … " + title) }

// done says that a step is done and how long it took.
func (s *screen) done(title, detail string, took time.Duration) {
	if detail != "" {
		title += ": " + detail
	}
	s.say("  ✓ %s  (%s)", title, short(took))
}

// failed says that a step failed.
func (s *screen) failed(title string) { s.say("  ✗ %s", title) }

// progress shows how far the job is.
func (s *screen) progress(done, all int, note string) {
	if s.width > 0 {
		const bar = 30
		full := bar * done / all
		s.bar(fmt.Sprintf("    [%s%s] %2d of %d tasks, %s", strings.Repeat("█", full), strings.Repeat("░", bar-full), done, all, note))
		return
	}
	if time.Since(s.said) > time.Second {
		s.said = time.Now()
		s.say("    %2d of %d tasks, %s", done, all, note)
	}
}

func (s *screen) bar(text string) {
	if s.width == 0 {
		return
	}
	if runes := []rune(text); len(runes) >= s.width {
		text = string(runes[:s.width-1])
	}
	fmt.Fprintf(s.out, "\r\x1b[K%s", text)
	s.line = true
}

// wipe takes the bar away.
func (s *screen) wipe() {
	if s.line {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.line = false
	}
}

// show puts a row into the closing table.
func (s *screen) show(what, measured string) { s.rows = append(s.rows, [2]string{what, measured}) }

// table writes what was shown.
func (s *screen) table() {
	s.wipe()
	heads := [2]string{"What was shown", "Measured"}
	var widths [2]int
	for _, row := range append(s.rows, heads) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row [2]string) {
		gap := strings.Repeat(" ", widths[0]-utf8.RuneCountInString(row[0]))
		fmt.Fprintf(s.out, "  %s%s   %s\n", row[0], gap, row[1])
	}
	fmt.Fprintln(s.out)
	line(heads)
	line([2]string{strings.Repeat("─", widths[0]), strings.Repeat("─", widths[1])})
	for _, row := range s.rows {
		line(row)
	}
	fmt.Fprintln(s.out)
}

// short writes a time as a reader wants it: 12 ms, 0.42 s, 12.3 s.
func short(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return "0.1 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
