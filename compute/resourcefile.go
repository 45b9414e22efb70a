package compute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A download fetches the resource files of a task into its working directory.
type download struct {
	client *http.Client
	// uid owns what is written; 0 leaves it ours.
	uid int
	wd  *os.Root
}

// fetch gets the files one after the other, in the order in which they were given:
// a later one may replace an earlier one.
func (d *download) fetch(ctx context.Context, files []ResourceFile) *Failure {
	for _, f := range files {
		if failure := d.one(ctx, f); failure != nil {
			failure.Details = map[string]string{"FilePath": f.Path, "HttpUrl": withoutQuery(f.URL), "Reason": failure.Details["Reason"]}
			return failure
		}
	}
	return nil
}

func (d *download) one(ctx context.Context, f ResourceFile) *Failure {
	name := filepath.Clean(f.Path)
	if f.Path == "" || name == "." || !filepath.IsLocal(name) {
		return refuse("ResourceFileCreateFailed", "Failure encountered creating resource file", true,
			fmt.Errorf("the path %q is not inside the working directory", f.Path))
	}
	mode := os.FileMode(0o770)
	if f.Mode != "" {
		bits, err := strconv.ParseUint(f.Mode, 8, 32)
		if err != nil || bits > 0o7777 {
			return refuse("ResourceFileCreateFailed", "Failure encountered creating resource file", true,
				fmt.Errorf("the mode %q is not octal", f.Mode))
		}
		// Set-id bits would say something about our user, not the customer's.
		mode = os.FileMode(bits & 0o777)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return refuse("BlobDownloadMiscError", "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)", true, err)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return transferFailure(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return refuse("BlobNotFound", "One of the specified Azure Blob(s) is not found", true, errors.New(resp.Status))
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return refuse("BlobAccessDenied", "Access for one of the specified Azure Blob(s) is denied", true, errors.New(resp.Status))
	case resp.StatusCode != http.StatusOK:
		return refuse("BlobDownloadMiscError", "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)", false, errors.New(resp.Status))
	}
	if err := d.mkdirs(path.Dir(filepath.ToSlash(name))); err != nil {
		return diskFailure("ResourceDirectoryCreateFailed", "Failure encountered creating resource directory for the task", err)
	}
	file, err := d.wd.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return diskFailure("ResourceFileCreateFailed", "Failure encountered creating resource file", err)
	}
	defer file.Close()
	// Reading and writing fail for different reasons, and whose fault it is differs.
	reading := &reader{r: resp.Body}
	if _, err := io.Copy(file, reading); err != nil {
		if reading.err != nil {
			return transferFailure(reading.err)
		}
		return diskFailure("ResourceFileWriteFailed", "Failure encountered writing resource file", err)
	}
	if err := file.Chmod(mode); err != nil {
		return diskFailure("ResourceFileWriteFailed", "Failure encountered writing resource file", err)
	}
	if d.uid != 0 {
		if err := file.Chown(d.uid, d.uid); err != nil {
			return diskFailure("ResourceFileWriteFailed", "Failure encountered writing resource file", err)
		}
	}
	return nil
}

// mkdirs makes a directory and its parents, and gives each new one to the task.
func (d *download) mkdirs(dir string) error {
	if dir == "." {
		return nil
	}
	if err := d.mkdirs(path.Dir(dir)); err != nil {
		return err
	}
	err := d.wd.Mkdir(dir, 0o770)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil && d.uid != 0 {
		err = d.wd.Chown(dir, d.uid, d.uid)
	}
	return err
}

// A reader remembers that it was the source that failed.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func transferFailure(err error) *Failure {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return refuse("BlobDownloadTimedOut", "Timeout encountered while downloading one of the specified Azure Blob(s)", false, err)
	}
	return refuse("BlobDownloadMiscError", "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)", false, err)
}

func diskFailure(code, message string, err error) *Failure {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		code, message = "DiskFull", "There is not enough disk space on the node that was selected to run the task"
	}
	return refuse(code, message, false, err)
}

func refuse(code, message string, user bool, err error) *Failure {
	reason := err.Error()
	// What the client says repeats the address, and its query may be a signature.
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) && strings.Contains(reason, "?") {
		reason = wrapped.Unwrap().Error()
	}
	return &Failure{Code: code, Message: message, User: user, Details: map[string]string{"Reason": reason}}
}

// withoutQuery drops what follows the path of an address: a signature, as a rule.
func withoutQuery(url string) string {
	url, _, _ = strings.Cut(url, "?")
	return url
}
