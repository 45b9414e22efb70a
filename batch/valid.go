package batch

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"latchkey/fault"
)

// BadProperty is the fault of a property whose value cannot be.
func BadProperty(name, value, reason string) error {
	return fault.InvalidPropertyValue.New("The value provided for the property '%s' is invalid: %s", name, reason).
		With("PropertyName", name).With("PropertyValue", clip(value)).With("Reason", reason)
}

// NoProperty is the fault of a property that must be there.
func NoProperty(name string) error {
	return fault.MissingRequiredProperty.New("The property '%s' is required and was not specified in the request body.", name).
		With("PropertyName", name)
}

// Unbuilt is the fault of a property that would change what runs and that this
// service cannot honour: it is refused, never ignored.
func Unbuilt(name, instead string) error {
	reason := "this service does not support " + name
	if instead != "" {
		reason += "; " + instead
	}
	return fault.UnsupportedOperation.New("The property '%s' is not supported: %s.", name, reason).
		With("PropertyName", name).With("Reason", reason)
}

// clip keeps a fault from repeating a whole body.
func clip(s string) string {
	if len(s) <= 256 {
		return s
	}
	s = s[:256]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// checkID checks the id of a pool, job or task.
func checkID(name, id string) error {
	if id == "" {
		return NoProperty(name)
	}
	if len(id) > 64 {
		return BadProperty(name, id, "an id has at most 64 characters")
	}
	for _, c := range []byte(id) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return BadProperty(name, id, "an id has letters, digits, hyphens and underscores only")
		}
	}
	return nil
}

func checkDisplayName(name string) error {
	if utf8.RuneCountInString(name) > 1024 {
		return BadProperty("displayName", name, "a display name has at most 1024 characters")
	}
	return nil
}

func checkRange(name string, v, low, high int) error {
	if v < low || v > high {
		return BadProperty(name, fmt.Sprint(v), fmt.Sprintf("it must be between %d and %d", low, high))
	}
	return nil
}

// maxCommandLine is how long a command line may be; the kernel takes no more in one
// argument.
const maxCommandLine = 128 << 10

func checkCommandLine(name, line string) error {
	if strings.TrimSpace(line) == "" {
		return NoProperty(name)
	}
	if len(line) >= maxCommandLine {
		return BadProperty(name, line, "the command line is too long")
	}
	if strings.ContainsRune(line, 0) {
		return BadProperty(name, line, "a command line has no zero byte")
	}
	return nil
}

func checkEnv(name string, env []EnvVar) error {
	for i, v := range env {
		at := fmt.Sprintf("%s[%d]", name, i)
		if v.Name == "" {
			return NoProperty(at + ".name")
		}
		if strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0) {
			return BadProperty(at, v.Name, "the name of an environment variable has no '=' and no zero byte, its value no zero byte")
		}
	}
	return nil
}

func checkMetadata(items []Pair) error {
	for i, m := range items {
		if m.Name == "" {
			return NoProperty(fmt.Sprintf("metadata[%d].name", i))
		}
	}
	return nil
}

func checkResourceFiles(name string, files []ResourceFile) error {
	for i, f := range files {
		at := fmt.Sprintf("%s[%d]", name, i)
		if f.URL == "" {
			return NoProperty(at + ".httpUrl")
		}
		if !strings.HasPrefix(f.URL, "http://") && !strings.HasPrefix(f.URL, "https://") {
			return BadProperty(at+".httpUrl", f.URL, "it must be an http or https URL")
		}
		if f.Path == "" {
			return NoProperty(at + ".filePath")
		}
		if clean := path.Clean(f.Path); path.IsAbs(f.Path) || clean == ".." || clean == "." ||
			strings.HasPrefix(clean, "../") || strings.ContainsRune(f.Path, 0) {
			return BadProperty(at+".filePath", f.Path, "the path must stay inside the task's working directory")
		}
		if !isMode(f.Mode) {
			return BadProperty(at+".fileMode", f.Mode, "it must be an octal mode such as 0770")
		}
	}
	return nil
}

func isMode(mode string) bool {
	if len(mode) > 4 {
		return false
	}
	for _, c := range []byte(mode) {
		if c < '0' || c > '7' {
			return false
		}
	}
	return true
}

func checkDuration(name string, d, low time.Duration) error {
	if d < low {
		return BadProperty(name, d.String(), fmt.Sprintf("it must be at least %v", low))
	}
	return nil
}
