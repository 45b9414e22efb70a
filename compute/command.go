package compute

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errQuote is why a command line cannot be split.
var errQuote = errors.New("the command line has a quote that is not closed")

// splitCommand splits a command line into words as Azure's Linux nodes do: blanks
// separate; '…' keeps everything; "…" keeps all but a backslash before one of "\$`;
// elsewhere a backslash keeps the next character. Nothing is expanded, because no
// shell is involved: who wants $VARIABLES or pipes asks for /bin/sh -c "…".
func splitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false // a word has begun, though it may be empty: ''
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n', '\r':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				return nil, errQuote
			}
			word.WriteString(line[i+1 : i+1+end])
			i += end + 1
			open = true
		case '"':
			open = true
			for i++; ; i++ {
				if i >= len(line) {
					return nil, errQuote
				}
				if line[i] == '"' {
					break
				}
				if line[i] == '\\' && i+1 < len(line) && strings.IndexByte("\"\\$`", line[i+1]) >= 0 {
					i++
				}
				word.WriteByte(line[i])
			}
		case '\\':
			if i+1 == len(line) {
				return nil, errors.New("the command line ends in a backslash")
			}
			i++
			word.WriteByte(line[i])
			open = true
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("the command line is empty")
	}
	if strings.IndexByte(line, 0) >= 0 {
		return nil, errors.New("the command line has a zero byte")
	}
	return words, nil
}

// findProgram returns the path of a command's program: as it stands if it has a
// slash, else by the task's own PATH.
func findProgram(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	found := error(syscall.ENOENT)
	for _, in := range filepath.SplitList(path) {
		if in == "" {
			in = "."
		}
		file := filepath.Join(in, name)
		if !filepath.IsAbs(in) {
			// Relative to where the task stands, not to where we do.
			file = filepath.Join(dir, in, name)
		}
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return file, nil
		}
		found = syscall.EACCES
	}
	return "", found
}

// launchFailure says why a program was not started, in Azure's codes.
func launchFailure(program string, err error) *Failure {
	code, message := "CommandLaunchFailed", "Failed to launch the specified command line"
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		code, message = "CommandProgramNotFound", "The specified command program is not found"
	}
	return &Failure{Code: code, Message: message, User: true, Details: map[string]string{"Command": program, "Reason": err.Error()}}
}
