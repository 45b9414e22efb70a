// Package client speaks to a service as a program outside would: Azure's own host
// names through the loopback proxy, the local authority's certificate, a token of the
// sign-in door, JSON.
//
// It is what the quickstart and the whole-service tests are written with, so what
// they show is what any client sees. It knows no rule of the service.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Config says where a service is and who calls.
type Config struct {
	// Proxy is the HOST:PORT of the CONNECT proxy, CAFile the certificate of the local
	// authority.
	Proxy, CAFile string
	// Login is the address of the sign-in door, such as
	// https://login.microsoftonline.com.
	Login string
	// TenantID, ClientID and Secret are an application's.
	TenantID, ClientID, Secret string
}

// A Client makes requests. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu     sync.Mutex
	tokens map[string]token
}

type token struct {
	value   string
	expires time.Time
}

// New returns a client. It makes no request.
func New(cfg Config) (*Client, error) {
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the authority's certificate: %s has none", cfg.CAFile)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyURL(&url.URL{Scheme: "http", Host: cfg.Proxy}),
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 32,
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: transport}, tokens: map[string]token{}}, nil
}

// HTTP returns the client below, which leads to the service and adds no token.
func (c *Client) HTTP() *http.Client { return c.http }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A Response is an answer with its body read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the JSON body into v.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	return nil
}

// An Error is an answer that says no.
type Error struct {
	Method, URL   string
	Status        int
	Code, Message string
}

// Error returns what was asked and what was answered.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %d %s: %s", e.Method, e.URL, e.Status, e.Code, e.Message)
}

// Is reports whether target is an Error with the same code or, without one, the same
// status.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && (t.Code == "" || t.Code == e.Code) && (t.Status == 0 || t.Status == e.Status)
}

// Call makes a request with a token for the door that the URL leads to, and reads a
// successful answer into out if that is not nil. A 202 of Resource Manager is followed
// to its end. Any other answer than 2xx is an *Error.
func (c *Client) Call(ctx context.Context, method, url string, in, out any) error {
	resp, err := c.Do(ctx, method, url, in, nil)
	if err != nil {
		return err
	}
	for resp.Status == http.StatusAccepted && resp.Header.Get("Retry-After") != "" && resp.Header.Get("Location") != "" {
		wait, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s")
		if err != nil {
			return fmt.Errorf("following %s: %w", url, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		if resp, err = c.Do(ctx, http.MethodGet, resp.Header.Get("Location"), nil, nil); err != nil {
			return err
		}
	}
	if resp.Status < 200 || resp.Status > 299 {
		return failure(method, url, resp)
	}
	if out == nil {
		return nil
	}
	return resp.Decode(out)
}

// Do makes one request with a token and returns whatever is answered. In is sent as
// JSON unless it is []byte, which is sent as it is. Header is added.
func (c *Client) Do(ctx context.Context, method, url string, in any, header http.Header) (*Response, error) {
	var body io.Reader
	if in != nil {
		raw, ok := in.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(in); err != nil {
				return nil, fmt.Errorf("writing a request: %w", err)
			}
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if in != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json; odata=minimalmetadata")
	}
	if req.Header.Get("Authorization") == "" {
		token, err := c.Token(ctx, audience(req.URL.Host))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return c.send(req)
}

func (c *Client) send(req *http.Request) (*Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: b}, nil
}

// audience is what a token for a host of the public cloud is asked for.
func audience(host string) string {
	switch {
	case strings.HasSuffix(host, ".vault.azure.net"):
		return "https://vault.azure.net"
	case strings.HasSuffix(host, ".batch.azure.com"):
		return "https://batch.core.windows.net/"
	case host == "graph.microsoft.com":
		return "https://graph.microsoft.com"
	}
	return "https://management.azure.com/"
}

// Token returns a token for an audience, a fresh one only if the last is running out.
func (c *Client) Token(ctx context.Context, audience string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tokens[audience]; time.Until(t.expires) > time.Minute {
		return t.value, nil
	}
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.cfg.ClientID},
		"client_secret": {c.cfg.Secret},
		"scope":         {audience + "/.default"},
	}
	address := c.cfg.Login + "/" + c.cfg.TenantID + "/oauth2/v2.0/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.send(req)
	if err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := resp.Decode(&answer); err != nil {
		return "", fmt.Errorf("signing in: %w", err)
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("signing in: %w", &Error{Method: http.MethodPost, URL: address, Status: resp.Status, Code: answer.Error, Message: answer.Description})
	}
	c.tokens[audience] = token{answer.AccessToken, time.Now().Add(time.Duration(answer.ExpiresIn) * time.Second)}
	return answer.AccessToken, nil
}

// failure reads an error answer of any of the doors.
func failure(method, url string, resp *Response) error {
	e := &Error{Method: method, URL: url, Status: resp.Status}
	var body struct {
		Error struct {
			Code, Message string
		} `json:"error"`
		Code    string `json:"code"`
		Message struct {
			Value string `json:"value"`
		} `json:"message"`
	}
	if err := json.Unmarshal(resp.Body, &body); err != nil {
		e.Message = string(resp.Body)
		return e
	}
	e.Code, e.Message = body.Error.Code, body.Error.Message
	if e.Code == "" {
		e.Code, e.Message = body.Code, body.Message.Value
	}
	return e
}

// IsCode reports whether err is an answer with an error code.
func IsCode(err error, code string) bool { return errors.Is(err, &Error{Code: code}) }
