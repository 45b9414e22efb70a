package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"latchkey/fault"
)

// What a vault is asked for, by the names of Key Vault's permissions.
const (
	opToken  = "token"
	opGet    = "get"
	opWrap   = "wrapKey"
	opUnwrap = "unwrapKey"
)

// classify decides what a failed question means: somebody says no (a refusal), or
// nobody does (an outage). The table is in the design, section 4; what is on neither
// side of it is an outage, because an outage gets a second chance.
func classify(op string, err error) error {
	var no *refusal
	var none *outage
	var token *credentialError
	var answer *azcore.ResponseError
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &none):
		return none
	case errors.As(err, &token):
		return classifyToken(token)
	case errors.As(err, &answer):
		return classifyAnswer(op, answer)
	}
	return &outage{err}
}

// authorityRefuses matches the authority's codes for an identity or application that
// is gone, disabled, or has lost its secret; they come with various statuses.
var authorityRefuses = regexp.MustCompile(`AADSTS(700\d+|50034|53003|90002)|invalid_client|unauthorized_client|Identity not found`)

func classifyToken(err *credentialError) error {
	if f, ok := fault.From(err); ok {
		if f.Code.Status < 500 && f.Code.Status != http.StatusTooManyRequests {
			return &refusal{IdentityNotFound, f.Message}
		}
		return &outage{err}
	}
	if found := authorityRefuses.FindString(err.Error()); found != "" {
		return &refusal{IdentityNotFound, found}
	}
	var answer *azcore.ResponseError
	if errors.As(err.err, &answer) && final(answer.StatusCode) {
		return &refusal{IdentityNotFound, fmt.Sprintf("the authority answers %d", answer.StatusCode)}
	}
	return &outage{err}
}

// final reports whether a status is an answer to the question, and not to the moment
// at which it was asked.
func final(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests &&
		status != http.StatusMisdirectedRequest && status != http.StatusTooEarly
}

// vaultError is the body of a vault's failure.
type vaultError struct {
	Error struct {
		Code       string
		Message    string
		InnerError struct{ Code string }
	}
}

func classifyAnswer(op string, answer *azcore.ResponseError) error {
	if !final(answer.StatusCode) {
		return &outage{&statusError{answer.StatusCode}}
	}
	var body vaultError
	if answer.RawResponse != nil {
		// A body that is not JSON tells no more than its status.
		if b, err := runtime.Payload(answer.RawResponse); err == nil {
			_ = json.Unmarshal(b, &body)
		}
	}
	inner, text := body.Error.InnerError.Code, strings.ToLower(body.Error.Message)
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		if strings.Contains(text, "issuer") || strings.Contains(text, "tenant") {
			return &refusal{TenantMismatch, clip(body.Error.Message)}
		}
		return &refusal{VaultRefused, clip(body.Error.Message)}
	case http.StatusNotFound:
		switch {
		case answer.ErrorCode == "VaultNotFound":
			return &refusal{VaultNotFound, ""}
		case strings.Contains(text, "deleted but recoverable"):
			return &refusal{KeyDeleted, ""}
		}
		// Key Vault says the same of a deleted key and of one that never was.
		return &refusal{KeyNotFound, ""}
	case http.StatusConflict:
		return &refusal{KeyDeleted, ""}
	case http.StatusForbidden:
		return classifyForbidden(op, inner, text)
	case http.StatusBadRequest:
		if op == opUnwrap {
			return &refusal{KeyMismatch, clip(body.Error.Message)}
		}
	}
	return &refusal{VaultRefused, strings.TrimSpace(fmt.Sprintf("%d %s %s", answer.StatusCode, answer.ErrorCode, clip(body.Error.Message)))}
}

// classifyForbidden reads Key Vault's inner code, or where there is none its sentence.
func classifyForbidden(op, inner, text string) error {
	switch {
	case inner == "ForbiddenByPolicy" || inner == "ForbiddenByRbac" || inner == "AccessDenied":
		return &refusal{PermissionMissing, op}
	case inner == "ForbiddenByFirewall" || inner == "ForbiddenByConnection":
		return &refusal{NetworkDenied, inner}
	case inner == "KeyDisabled" || strings.Contains(text, "disabled"):
		return &refusal{KeyDisabled, ""}
	case inner == "KeyNotYetValid" || strings.Contains(text, "not yet valid"):
		return &refusal{KeyNotYetValid, ""}
	case inner == "KeyExpired" || strings.Contains(text, "expired"):
		return &refusal{KeyExpired, ""}
	case inner == "KeyOperationForbidden" || inner == "KeyOperationNotPermitted" ||
		strings.Contains(text, "not permitted on this key") || strings.Contains(text, "key_ops"):
		return &refusal{OperationNotAllowed, op}
	}
	return &refusal{PermissionMissing, op}
}
