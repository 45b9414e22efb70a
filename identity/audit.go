package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// AuditConfig is what OpenAudit needs.
type AuditConfig struct {
	// Dir is where the records go; it is made if it is missing. Required.
	Dir string
	// MaxSize is the size in bytes at which a file is put aside and a new one begun;
	// zero means 64 MiB. Files that were put aside are never touched again: how long
	// they are kept is for the operator to say.
	MaxSize int64
}

// An Audit is an append-only record of what keys were used for, one JSON object per
// line, in the shape of Key Vault's AuditEvent.
type Audit struct {
	dir     string
	maxSize int64

	mu   sync.Mutex
	file *os.File
	size int64
}

// An Event is one audited operation.
type Event struct {
	// Time is when the operation began; zero means now.
	Time time.Time
	// ResourceID is the vault's.
	ResourceID string
	// Operation is Key Vault's name for it, such as KeyUnwrap; Version is the
	// api-version.
	Operation, Version string
	// Status is the HTTP status of the answer, Detail the code of a failure.
	Status int
	Detail string
	// Duration is how long it took.
	Duration time.Duration
	// Caller is who asked. Without a caller nothing is claimed.
	Caller Caller
	// KeyID is the key's full id; RequestURI and Client are as the client sent them.
	KeyID, RequestURI, Client string
	// Properties are further facts, such as the algorithm.
	Properties map[string]string
}

// auditFile is the file that is being written.
const auditFile = "audit.jsonl"

// OpenAudit opens the record in a directory and goes on at its end.
func OpenAudit(c AuditConfig) (*Audit, error) {
	a := &Audit{dir: c.Dir, maxSize: c.MaxSize}
	if a.maxSize <= 0 {
		a.maxSize = 64 << 20
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the audit: %w", err)
	}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("opening the audit: %w", err)
	}
	return a, nil
}

func (a *Audit) open() error {
	f, err := os.OpenFile(filepath.Join(a.dir, auditFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	a.file, a.size = f, info.Size()
	if a.size == 0 {
		return nil
	}
	// A line that was cut off by a crash is ended, so that the next one stays whole.
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, a.size-1); err != nil {
		f.Close()
		return err
	}
	if last[0] != '\n' {
		if _, err := f.Write([]byte{'\n'}); err != nil {
			f.Close()
			return err
		}
		a.size++
	}
	return nil
}

// auditLine is an Event as it is written.
type auditLine struct {
	Time             string         `json:"time"`
	ResourceID       string         `json:"resourceId"`
	OperationName    string         `json:"operationName"`
	OperationVersion string         `json:"operationVersion,omitempty"`
	Category         string         `json:"category"`
	ResultType       string         `json:"resultType"`
	ResultSignature  string         `json:"resultSignature"`
	ResultDetail     string         `json:"resultDescription,omitempty"`
	DurationMS       int64          `json:"durationMs"`
	CallerIPAddress  string         `json:"callerIpAddress,omitempty"`
	CorrelationID    string         `json:"correlationId,omitempty"`
	Identity         *auditIdentity `json:"identity,omitempty"`
	Properties       map[string]any `json:"properties"`
}

type auditIdentity struct {
	Claim auditClaim `json:"claim"`
}

type auditClaim struct {
	ObjectID string `json:"http://schemas.microsoft.com/identity/claims/objectidentifier,omitempty"`
	OID      string `json:"oid,omitempty"`
	AppID    string `json:"appid,omitempty"`
	TenantID string `json:"tid,omitempty"`
	Name     string `json:"name,omitempty"`
}

// line gives an event its written form.
func (e *Event) line() auditLine {
	at := e.Time
	if at.IsZero() {
		at = time.Now()
	}
	result, signature := "Success", "OK"
	if e.Status >= 400 {
		result, signature = "Failed", "Failed"
		switch e.Status {
		case 401:
			signature = "Unauthorized"
		case 403:
			signature = "Forbidden"
		case 404:
			signature = "Not Found"
		}
	}
	l := auditLine{
		Time: at.UTC().Format("2006-01-02T15:04:05.0000000Z"), ResourceID: e.ResourceID,
		OperationName: e.Operation, OperationVersion: e.Version, Category: "AuditEvent",
		ResultType: result, ResultSignature: signature, ResultDetail: e.Detail,
		DurationMS: e.Duration.Milliseconds(), CallerIPAddress: e.Caller.Address, CorrelationID: e.Caller.Correlation,
		Properties: map[string]any{"httpStatusCode": e.Status},
	}
	if e.Caller.ObjectID != "" {
		l.Identity = &auditIdentity{auditClaim{
			ObjectID: e.Caller.ObjectID, OID: e.Caller.ObjectID, AppID: e.Caller.AppID, TenantID: e.Caller.Tenant, Name: e.Caller.Name,
		}}
	}
	for name, value := range map[string]string{"id": e.KeyID, "requestUri": e.RequestURI, "clientInfo": e.Client} {
		if value != "" {
			l.Properties[name] = value
		}
	}
	for name, value := range e.Properties {
		l.Properties[name] = value
	}
	return l
}

// Record writes an event. When it returns, the line is with the operating system: it
// survives the end of the process, though not a power cut a moment later. Who cannot
// record an operation must not answer it.
func (a *Audit) Record(e Event) error {
	b, err := json.Marshal(e.line())
	if err != nil {
		return fmt.Errorf("writing the audit: %w", err)
	}
	b = append(b, '\n')
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return errors.New("writing the audit: it is closed")
	}
	if a.size > 0 && a.size+int64(len(b)) > a.maxSize {
		if err := a.rotate(); err != nil {
			return fmt.Errorf("beginning a new audit file: %w", err)
		}
	}
	n, err := a.file.Write(b)
	if err != nil {
		// A full disk may take half a line; it goes again, so that what is there stays
		// readable.
		if n > 0 && a.file.Truncate(a.size) != nil {
			a.size += int64(n)
		}
		return fmt.Errorf("writing the audit: %w", err)
	}
	a.size += int64(n)
	return nil
}

// rotate puts the file aside under the time of day and begins a new one.
func (a *Audit) rotate() error {
	name := filepath.Join(a.dir, "audit-"+time.Now().UTC().Format("20060102T150405.000000000Z")+".jsonl")
	if err := a.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(a.dir, auditFile), name); err != nil {
		return err
	}
	old := a.file
	if err := a.open(); err != nil {
		// The old file stays in use under its new name: better a long file than none.
		a.file = old
		return err
	}
	return old.Close()
}

// Close ends the record, with everything on the disk.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := errors.Join(a.file.Sync(), a.file.Close())
	a.file = nil
	return err
}
