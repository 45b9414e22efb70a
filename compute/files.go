package compute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"latchkey/fault"
)

// A File describes a file or directory on a node.
type File struct {
	// Name is relative to the directory that was asked, slash separated.
	Name string
	// Dir is set for directories, whose Size is zero.
	Dir               bool
	Size              int64
	Mode              fs.FileMode
	Created, Modified time.Time
}

// Files are the files of a task or of a whole node, seen as the node sees them. Links
// that lead out of the directory lead nowhere.
type Files struct {
	root *os.Root
	// node is set when the root is a node's disk, which has a directory of ours.
	node bool
}

// TaskFiles opens the directory of a task. It is fault.TaskFilesUnavailable if the
// node has no disk here, and fault.TaskFilesCleanedUp if the directory is gone.
// Ids must be spelled as they were when the task started. The caller closes it.
func (l *Local) TaskFiles(ref NodeRef, jobID, taskID string) (*Files, error) {
	dir, err := taskPath(jobID, taskID)
	if err != nil {
		return nil, fault.TaskFilesUnavailable.New("")
	}
	disk, err := l.openDisk(ref)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.TaskFilesUnavailable.New("")
	}
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	root, err := disk.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.TaskFilesCleanedUp.New("")
	}
	if err != nil {
		return nil, fmt.Errorf("opening the files of a task: %w", err)
	}
	return &Files{root: root}, nil
}

// NodeFiles opens the disk of a node. It is fault.FileNotFound if there is none here.
// The caller closes it.
func (l *Local) NodeFiles(ref NodeRef) (*Files, error) {
	root, err := l.openDisk(ref)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.FileNotFound.New("")
	}
	if err != nil {
		return nil, err
	}
	return &Files{root: root, node: true}, nil
}

// RemoveTask removes the directory of a task that does not run.
func (l *Local) RemoveTask(ref NodeRef, jobID, taskID string) error {
	disk, err := diskPath(ref)
	if err != nil {
		return err
	}
	dir, err := taskPath(jobID, taskID)
	if err != nil {
		return err
	}
	if err := removeTree(filepath.Join(l.dir, disk, dir)); err != nil {
		return fmt.Errorf("removing the files of a task: %w", err)
	}
	return nil
}

func (l *Local) openDisk(ref NodeRef) (*os.Root, error) {
	dir, err := diskPath(ref)
	if err != nil {
		return nil, fmt.Errorf("opening a node's disk: %w (%w)", fs.ErrNotExist, err)
	}
	root, err := os.OpenRoot(filepath.Join(l.dir, dir))
	if err != nil {
		return nil, fmt.Errorf("opening a node's disk: %w", err)
	}
	return root, nil
}

// Close gives the directory back; open files stay open.
func (f *Files) Close() error { return f.root.Close() }

// name cleans a path that a caller gave. Empty is the directory itself.
func (f *Files) name(name string) (string, error) {
	clean := path.Clean(strings.Trim(name, "/"))
	if name == "" || clean == "." {
		return ".", nil
	}
	first, _, _ := strings.Cut(clean, "/")
	if !filepath.IsLocal(clean) || len(clean) > maxPath || strings.IndexByte(clean, 0) >= 0 || f.node && first == agentDir {
		return "", fault.FileNotFound.New("")
	}
	return clean, nil
}

// notFound turns what the file system says about a name into what a caller may hear.
func notFound(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG):
		return fault.FileNotFound.New("")
	case strings.Contains(err.Error(), "escapes from parent"):
		// os.Root has no exported error for a link that leads out.
		return fault.FileNotFound.New("")
	}
	return fmt.Errorf("reading a node's files: %w", err)
}

// List returns the entries of a directory, or with recursive everything below it,
// in the order of their names. Neither the directory itself is in it nor what can
// be read as neither file nor directory.
func (f *Files) List(dir string, recursive bool) ([]File, error) {
	name, err := f.name(dir)
	if err != nil {
		return nil, err
	}
	found, err := f.list(nil, name, recursive)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func (f *Files) list(found []File, dir string, recursive bool) ([]File, error) {
	here, err := f.entries(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range here {
		found = append(found, file)
		if !recursive || !file.Dir {
			continue
		}
		if below, err := f.list(found, file.Name, true); err == nil {
			found = below
		}
	}
	return found, nil
}

// entries lists one directory. What has a longer path than any program could use is
// left out: a task can nest directories without end.
func (f *Files) entries(dir string) ([]File, error) {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil, notFound(err)
	}
	defer d.Close()
	if f.ours(d) {
		return nil, fault.FileNotFound.New("")
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, notFound(err)
	}
	var found []File
	for _, name := range names {
		full := path.Join(dir, name)
		if f.node && full == agentDir || len(full) > maxPath {
			continue
		}
		// By the open directory: names below it cannot be turned into links meanwhile.
		var st unix.Statx_t
		if err := unix.Statx(int(d.Fd()), name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
			continue // it went while we looked
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			file, err := f.Stat(full)
			// A link to a directory would list it twice, or without end.
			if err == nil && !file.Dir {
				found = append(found, file)
			}
			continue
		}
		if file, ok := fileOf(full, &st); ok {
			found = append(found, file)
		}
	}
	return found, nil
}

// maxPath is the longest path that is answered for, below the directory asked: every
// directory on the way is opened.
const maxPath = 1024

// ours reports whether something that was opened is the agent's own directory or lies
// in it: a link that a task made may lead there.
func (f *Files) ours(file *os.File) bool {
	if !f.node {
		return false
	}
	at, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(file.Fd())))
	own := filepath.Join(f.root.Name(), agentDir)
	return err != nil || at == own || strings.HasPrefix(at, own+"/")
}

// fileOf describes what st says; it is false for what is neither file nor directory.
func fileOf(name string, st *unix.Statx_t) (File, bool) {
	file := File{Name: name, Mode: fs.FileMode(st.Mode & 0o777), Modified: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec))}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		file.Dir = true
		file.Mode |= fs.ModeDir
	case unix.S_IFREG:
		file.Size = int64(st.Size)
	default:
		return File{}, false
	}
	file.Created = file.Modified
	if st.Mask&unix.STATX_BTIME != 0 {
		file.Created = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	return file, true
}

// open opens a name without waiting: a task may have left a pipe that nobody writes.
func (f *Files) open(name string) (*os.File, File, error) {
	clean, err := f.name(name)
	if err != nil {
		return nil, File{}, err
	}
	file, err := f.root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, File{}, notFound(err)
	}
	if f.ours(file) {
		file.Close()
		return nil, File{}, fault.FileNotFound.New("")
	}
	var st unix.Statx_t
	if err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		file.Close()
		return nil, File{}, notFound(err)
	}
	info, ok := fileOf(clean, &st)
	if !ok {
		file.Close()
		return nil, File{}, fault.FileNotFound.New("")
	}
	return file, info, nil
}

// Stat describes a file or directory.
func (f *Files) Stat(name string) (File, error) {
	file, info, err := f.open(name)
	if err != nil {
		return File{}, err
	}
	file.Close()
	return info, nil
}

// Open opens a file for reading. It may grow while it is read; a reader that wants
// a consistent length takes the one in File. It is fault.FileIsDirectory for a
// directory. The caller closes it.
func (f *Files) Open(name string) (*os.File, File, error) {
	file, info, err := f.open(name)
	if err != nil {
		return nil, File{}, err
	}
	if info.Dir {
		file.Close()
		return nil, File{}, fault.FileIsDirectory.New("")
	}
	return file, info, nil
}

// Remove deletes a file, or a directory with all below it when recursive is set or
// nothing is.
func (f *Files) Remove(name string, recursive bool) error {
	clean, err := f.name(name)
	if err != nil {
		return err
	}
	if clean == "." {
		return fault.FileIsDirectory.New("The directory itself goes with its task or node.")
	}
	dir, err := f.root.Open(path.Dir(clean))
	if err != nil {
		return notFound(err)
	}
	defer dir.Close()
	name, at := path.Base(clean), int(dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || f.ours(dir) {
		return fault.FileNotFound.New("")
	}
	switch {
	case recursive:
		err = removeAt(at, name)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = unix.Unlinkat(at, name, unix.AT_REMOVEDIR)
	default:
		err = unix.Unlinkat(at, name, 0)
	}
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return fault.FileIsDirectory.New("The specified path is a directory that is not empty.")
	}
	if err != nil {
		return notFound(err)
	}
	return nil
}
