package rest

import (
	"net/http"
	"time"

	"latchkey/fault"
)

// A Style is how a protocol writes failures and names requests.
type Style struct {
	// Body makes the body of a failure.
	Body func(r *http.Request, f *fault.Fault, requestID string) any
	// ContentType is that of failures.
	ContentType string
	// RequestID are the headers that carry our id of the request, ClientRequestID the
	// one that carries the client's and is echoed when ReturnClientRequestID is true.
	RequestID                              []string
	ClientRequestID, ReturnClientRequestID string
	// BadBody, NoRoute and NoMethod are the rows for what the door itself finds.
	BadBody, NoRoute, NoMethod *fault.Code
}

type codeAndMessage struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type errorBody struct {
	Error any `json:"error"`
}

// ARM is Resource Manager's style: {"error":{"code","message","details"}}.
var ARM = Style{
	Body: func(_ *http.Request, f *fault.Fault, _ string) any {
		type detailed struct {
			codeAndMessage
			Details []codeAndMessage `json:"details,omitempty"`
		}
		e := detailed{codeAndMessage: codeAndMessage{f.Code.Name, f.Message}}
		for _, d := range f.Details {
			e.Details = append(e.Details, codeAndMessage{d.Key, d.Value})
		}
		return errorBody{e}
	},
	ContentType:           "application/json; charset=utf-8",
	RequestID:             []string{"x-ms-request-id", "x-ms-correlation-request-id"},
	ClientRequestID:       "x-ms-client-request-id",
	ReturnClientRequestID: "x-ms-return-client-request-id",
	BadBody:               fault.InvalidRequestContent,
	NoRoute:               fault.NotFound,
	NoMethod:              fault.MethodNotAllowed,
}

// Vault is Key Vault's style: {"error":{"code","message","innererror"}}.
var Vault = Style{
	Body: func(_ *http.Request, f *fault.Fault, _ string) any {
		type inner struct {
			Code string `json:"code"`
		}
		type detailed struct {
			codeAndMessage
			Inner *inner `json:"innererror,omitempty"`
		}
		e := detailed{codeAndMessage: codeAndMessage{f.Code.Name, f.Message}}
		if f.Inner != "" {
			e.Inner = &inner{f.Inner}
		}
		return errorBody{e}
	},
	ContentType:           "application/json; charset=utf-8",
	RequestID:             []string{"x-ms-request-id"},
	ClientRequestID:       "x-ms-client-request-id",
	ReturnClientRequestID: "x-ms-return-client-request-id",
	BadBody:               fault.BadParameter,
	NoRoute:               fault.NotFound,
	NoMethod:              fault.KeyVaultMethod,
}

// Graph is Microsoft Graph's style.
var Graph = Style{
	Body: func(r *http.Request, f *fault.Fault, id string) any {
		type inner struct {
			Date            string `json:"date"`
			RequestID       string `json:"request-id"`
			ClientRequestID string `json:"client-request-id,omitempty"`
		}
		type detailed struct {
			codeAndMessage
			Inner inner `json:"innerError"`
		}
		return errorBody{detailed{
			codeAndMessage{f.Code.Name, f.Message},
			inner{time.Now().UTC().Format("2006-01-02T15:04:05"), id, r.Header.Get("client-request-id")},
		}}
	},
	ContentType:           "application/json",
	RequestID:             []string{"request-id"},
	ClientRequestID:       "client-request-id",
	ReturnClientRequestID: "return-client-request-id",
	BadBody:               fault.InvalidInput,
	NoRoute:               fault.NotFound,
	NoMethod:              fault.MethodNotAllowed,
}

// A BatchError is a failure as Batch's data plane tells it: details as values, request
// id and time in the message.
type BatchError struct {
	Code    string       `json:"code"`
	Message batchMessage `json:"message"`
	Values  []batchValue `json:"values,omitempty"`
}

type batchMessage struct {
	Lang  string `json:"lang"`
	Value string `json:"value"`
}

type batchValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// BatchFailure writes a failure that is told inside of another answer.
func BatchFailure(f *fault.Fault, requestID string) BatchError {
	e := BatchError{Code: f.Code.Name, Message: batchMessage{"en-US", f.Message + "\nRequestId:" + requestID + "\nTime:" +
		time.Now().UTC().Format("2006-01-02T15:04:05.0000000Z")}}
	for _, d := range f.Details {
		e.Values = append(e.Values, batchValue(d))
	}
	return e
}

// Batch is the style of Batch's data plane: code and message without an envelope.
var Batch = Style{
	Body: func(r *http.Request, f *fault.Fault, id string) any {
		return struct {
			Metadata string `json:"odata.metadata"`
			BatchError
		}{"https://" + r.Host + "/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element", BatchFailure(f, id)}
	},
	ContentType:           "application/json;odata=minimalmetadata",
	RequestID:             []string{"request-id"},
	ClientRequestID:       "client-request-id",
	ReturnClientRequestID: "return-client-request-id",
	BadBody:               fault.InvalidRequestBody,
	NoRoute:               fault.InvalidURI,
	NoMethod:              fault.UnsupportedHTTPVerb,
}
