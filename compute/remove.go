package compute

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxOpenDirs is how many directories a removal has open at a time. A task can nest
// its directories as deep as the disk allows, and the service needs its files for
// other things.
const maxOpenDirs = 64

// A removal deletes a directory and all below it, although its owner may have taken
// the permissions away. Nothing may be running in it. Links are removed, not followed.
type removal struct {
	// top is the directory that is being removed; what lies too deep is moved there
	// under a name of ours and removed from there.
	top   int
	moved int
}

// removeTree deletes a file, or a directory and all below it.
func removeTree(path string) error {
	parent, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	defer unix.Close(parent)
	if err := removeAt(parent, filepath.Base(path)); err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// removeAt is removeTree for a name in an open directory.
func removeAt(parent int, name string) error {
	dir, err := openOrUnlink(parent, name)
	if err != nil || dir < 0 {
		return err
	}
	r := removal{top: dir}
	err = r.empty(dir, 1)
	unix.Close(dir)
	if err != nil {
		return err
	}
	return gone(unix.Unlinkat(parent, name, unix.AT_REMOVEDIR))
}

// gone takes for done what somebody else has done.
func gone(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// openOrUnlink removes what is no directory, for which it returns -1, and opens what
// is one, with the rights that its removal needs.
func openOrUnlink(parent int, name string) (int, error) {
	err := unix.Unlinkat(parent, name, 0)
	if err == nil || err == unix.ENOENT {
		return -1, nil
	}
	if err != unix.EISDIR && err != unix.EPERM {
		return -1, err
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	dir, open := unix.Openat(parent, name, flags, 0)
	if open == unix.EACCES {
		if err := unix.Fchmodat(parent, name, 0o700, 0); err != nil {
			return -1, err
		}
		dir, open = unix.Openat(parent, name, flags, 0)
	}
	switch open {
	case nil:
	case unix.ENOENT:
		return -1, nil
	case unix.ENOTDIR, unix.ELOOP:
		return -1, err
	default:
		return -1, open
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err == nil && st.Mode&0o700 != 0o700 {
		unix.Fchmod(dir, 0o700)
	}
	return dir, nil
}

// empty removes everything in dir, which lies depth directories below the parent of
// the top.
func (r *removal) empty(dir, depth int) error {
	// Moving to the top adds entries to it, and an engine may skip entries of a
	// directory that changes: so until there is nothing.
	for {
		names, err := namesIn(dir)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := r.remove(dir, name, depth); err != nil {
				return err
			}
		}
	}
}

func (r *removal) remove(dir int, name string, depth int) error {
	below, err := openOrUnlink(dir, name)
	if err != nil || below < 0 {
		return err
	}
	if depth >= maxOpenDirs {
		unix.Close(below)
		r.moved++
		return r.lift(dir, name)
	}
	err = r.empty(below, depth+1)
	unix.Close(below)
	if err != nil {
		return err
	}
	return gone(unix.Unlinkat(dir, name, unix.AT_REMOVEDIR))
}

// lift moves a directory to the top.
func (r *removal) lift(dir int, name string) error {
	for ; ; r.moved++ {
		err := unix.Renameat2(dir, name, r.top, ".deep-"+strconv.Itoa(r.moved), unix.RENAME_NOREPLACE)
		if err != unix.EEXIST {
			return gone(err)
		}
	}
}

// namesIn lists a directory from its beginning.
func namesIn(dir int) ([]string, error) {
	again, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(again), "")
	defer f.Close()
	return f.Readdirnames(-1)
}

// removeContents empties a directory.
func removeContents(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("emptying a disk: %w", err)
	}
	var failed error
	for _, e := range entries {
		failed = errors.Join(failed, removeTree(filepath.Join(dir, e.Name())))
	}
	return failed
}
