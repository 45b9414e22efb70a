package batchapi

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) fileRoutes() {
	for _, at := range []string{"/jobs/{job}/tasks/{task}/files", "/pools/{pool}/nodes/{node}/files"} {
		d.door.Handle("GET "+at, d.listFiles)
		// Slashes in the path come as %2F or as they are.
		d.door.Handle("GET "+at+"/{path...}", d.getFile)
		d.door.Handle("HEAD "+at+"/{path...}", d.headFile)
		d.door.Handle("DELETE "+at+"/{path...}", d.deleteFile)
	}
}

func folder(r *http.Request) batch.Folder {
	return batch.Folder{
		JobID: r.PathValue("job"), TaskID: r.PathValue("task"), PoolID: r.PathValue("pool"), NodeID: r.PathValue("node"),
	}
}

// fileURL writes where a file is; every part is encoded, slashes stay.
func fileURL(r *http.Request, name string) string {
	base := account(r).URL
	if r.PathValue("job") != "" {
		base += taskPath(r.PathValue("job"), r.PathValue("task"))
	} else {
		base += "/pools/" + r.PathValue("pool") + "/nodes/" + r.PathValue("node")
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return base + "/files/" + strings.Join(parts, "/")
}

// fileOut is a file as it travels to clients in lists.
type fileOut struct {
	Name       string          `json:"name"`
	URL        string          `json:"url"`
	Dir        bool            `json:"isDirectory"`
	Properties *fileProperties `json:"properties,omitempty"`
}

type fileProperties struct {
	Created  timestamp `json:"creationTime"`
	Modified timestamp `json:"lastModified"`
	// Length is a string of digits: newer documents say so, and older clients take it.
	Length string `json:"contentLength"`
	Type   string `json:"contentType"`
	Mode   string `json:"fileMode"`
}

// mode writes a file's mode as Linux nodes of Azure do: type and permissions, octal.
func mode(f compute.File) string {
	if f.Dir {
		return fmt.Sprintf("0o04%04o", f.Mode.Perm())
	}
	return fmt.Sprintf("0o10%04o", f.Mode.Perm())
}

func mediaType(name string) string {
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		kind, _, _ = strings.Cut(kind, ";")
		return kind
	}
	return "application/octet-stream"
}

func (d *Door) listFiles(r *http.Request, who identity.Caller) (rest.Reply, error) {
	recursive := strings.EqualFold(rest.Query(r, "recursive"), "true")
	write := func(f compute.File) fileOut {
		out := fileOut{Name: f.Name, URL: fileURL(r, f.Name), Dir: f.Dir}
		if !f.Dir {
			out.Properties = &fileProperties{
				timestamp(f.Created), timestamp(f.Modified), strconv.FormatInt(f.Size, 10), mediaType(f.Name), mode(f),
			}
		}
		return out
	}
	return list(r, "files", write, func(l batch.List[compute.File]) ([]compute.File, string, error) {
		files, err := d.Batch.ListFiles(r.Context(), who, account(r), folder(r), recursive)
		if err != nil {
			return nil, "", err
		}
		// Files come in the order of their names, so a page begins behind a name.
		most := l.Max
		if most == 0 {
			most = 1000
		}
		var page []compute.File
		for _, f := range files {
			if l.After != "" && f.Name <= l.After || l.Keep != nil && !l.Keep(f) {
				continue
			}
			if len(page) == most {
				return page, page[most-1].Name, nil
			}
			page = append(page, f)
		}
		return page, "", nil
	})
}

// describe writes the headers that say what a file is.
func describe(r *http.Request, reply rest.Reply, f compute.File) rest.Reply {
	return reply.With("Last-Modified", f.Modified.UTC().Format(http.TimeFormat)).
		With("Ocp-Creation-Time", f.Created.UTC().Format(http.TimeFormat)).
		With("Ocp-Batch-File-Isdirectory", strings.ToUpper(strconv.FormatBool(f.Dir)[:1])+strconv.FormatBool(f.Dir)[1:]).
		With("Ocp-Batch-File-Url", fileURL(r, f.Name)).
		With("Ocp-Batch-File-Mode", mode(f)).
		With("Content-Type", mediaType(f.Name)).
		With("Accept-Ranges", "bytes")
}

func (d *Door) headFile(r *http.Request, who identity.Caller) (rest.Reply, error) {
	name := r.PathValue("path")
	f, err := d.Batch.StatFile(r.Context(), who, account(r), folder(r), name)
	if err != nil {
		return rest.Reply{}, err
	}
	f.Name = name
	if err := rest.Conditions(r, "", f.Modified); err != nil {
		return rest.Reply{}, err
	}
	reply := describe(r, rest.Status(http.StatusOK), f)
	if !f.Dir {
		reply = reply.With("Content-Length", strconv.FormatInt(f.Size, 10))
	}
	return reply, nil
}

func (d *Door) getFile(r *http.Request, who identity.Caller) (reply rest.Reply, err error) {
	name := r.PathValue("path")
	content, f, err := d.Batch.OpenFile(r.Context(), who, account(r), folder(r), name)
	if err != nil {
		return rest.Reply{}, err
	}
	defer func() {
		if err != nil {
			content.Close()
		}
	}()
	f.Name = name
	if err := rest.Conditions(r, "", f.Modified); err != nil {
		return rest.Reply{}, err
	}
	from, length, partial, err := byteRange(r, f.Size)
	if err != nil {
		return rest.Reply{}, err
	}
	if _, err := content.Seek(from, io.SeekStart); err != nil {
		return rest.Reply{}, fmt.Errorf("reading a node's file: %w", err)
	}
	reply = rest.Status(http.StatusOK)
	if partial {
		// Azure's clients ask with ocp-range and take 200 only; what asks with Range
		// wants 206 to know that it was understood.
		if r.Header.Get("Ocp-Range") == "" {
			reply = rest.Status(http.StatusPartialContent)
		}
		reply = reply.With("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+length-1, f.Size))
	}
	reply = describe(r, reply, f).With("Content-Length", strconv.FormatInt(length, 10))
	reply.Stream = func(w io.Writer) error {
		defer content.Close()
		_, err := io.CopyN(w, content, length)
		return err
	}
	return reply, nil
}

// byteRange reads ocp-range, or Range: bytes=FROM-TO, or bytes=FROM-.
func byteRange(r *http.Request, size int64) (from, length int64, partial bool, err error) {
	text := r.Header.Get("Ocp-Range")
	if text == "" {
		text = r.Header.Get("Range")
	}
	if text == "" {
		return 0, size, false, nil
	}
	bad := fault.InvalidHeaderValue.New("The range %q is not of the form bytes=FROM-TO.", text).
		With("HeaderName", "ocp-range").With("HeaderValue", text)
	spec, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return 0, 0, false, bad
	}
	if first == "" {
		// The last bytes of the file.
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 1 {
			return 0, 0, false, bad
		}
		n = min(n, size)
		if size == 0 {
			return 0, 0, false, fault.InvalidRange.New("")
		}
		return size - n, n, true, nil
	}
	from, err = strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return 0, 0, false, bad
	}
	to := size - 1
	if last != "" {
		if to, err = strconv.ParseInt(last, 10, 64); err != nil || to < from {
			return 0, 0, false, bad
		}
		to = min(to, size-1)
	}
	if from >= size {
		return 0, 0, false, fault.InvalidRange.New("The range begins behind the end of the file, which has %d bytes.", size)
	}
	return from, to - from + 1, true, nil
}

func (d *Door) deleteFile(r *http.Request, who identity.Caller) (rest.Reply, error) {
	recursive := strings.EqualFold(rest.Query(r, "recursive"), "true")
	if err := d.Batch.RemoveFile(r.Context(), who, account(r), folder(r), r.PathValue("path"), recursive); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusOK), nil
}
