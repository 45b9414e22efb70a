package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"latchkey/resource"
)

// A fileServer hands out what the tasks fetch before they start: slices of the text
// and scripts; and, to the task that merges, what the others have printed. It stands
// in for the storage account that a job has in Azure.
type fileServer struct {
	// base is its address. The random part keeps other programs on this machine from
	// reading along.
	base string
	srv  *http.Server
}

// serveFiles starts a file server on loopback. printed returns the output of the
// task with a number; it is asked when a task fetches it.
func serveFiles(slices [][]byte, printed func(ctx context.Context, n int) ([]byte, error)) (*fileServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving files to the tasks: %w", err)
	}
	secret := resource.NewGUID()
	mux := http.NewServeMux()
	send := func(w http.ResponseWriter, content []byte) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(content)
	}
	prefix := "GET /" + secret
	mux.HandleFunc(prefix+"/count.sh", func(w http.ResponseWriter, _ *http.Request) { send(w, countScript) })
	mux.HandleFunc(prefix+"/merge.sh", func(w http.ResponseWriter, _ *http.Request) { send(w, mergeScript) })
	mux.HandleFunc(prefix+"/slices/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil || n < 1 || n > len(slices) {
			http.NotFound(w, r)
			return
		}
		send(w, slices[n-1])
	})
	mux.HandleFunc(prefix+"/counts/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil || n < 1 || n > len(slices) {
			http.NotFound(w, r)
			return
		}
		content, err := printed(r.Context(), n)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		send(w, content)
	})
	f := &fileServer{
		base: "http://" + l.Addr().String() + "/" + secret,
		srv:  &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() {
		// Until Close, a listener on loopback does not fail; if it does, the tasks say so.
		if err := f.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.srv.Close()
		}
	}()
	return f, nil
}

func (f *fileServer) close() { f.srv.Close() }
