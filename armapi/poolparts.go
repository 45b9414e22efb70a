package armapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

// This file has what pools and certificates share: both are kept by the batch service
// and shown as parts of an account.

// proxyOut begins the body of a pool or certificate.
type proxyOut struct {
	ID   string            `json:"id"`
	Name string            `json:"name"`
	Type string            `json:"type"`
	ETag string            `json:"etag"`
	Tags map[string]string `json:"tags,omitempty"`
}

// condition holds a request's conditional headers against what there is; version 0 is
// that of nothing.
func condition(r *http.Request) batch.Condition {
	return func(version uint64, modified time.Time) error {
		etag := ""
		if version != 0 {
			etag = rest.ETag(version)
		}
		return rest.Conditions(r, etag, modified)
	}
}

// renamed are the properties that the batch service, which speaks its own protocol,
// calls by other names than Resource Manager.
var renamed = strings.NewReplacer(
	"virtualMachineConfiguration.nodeAgentSKUId", "deploymentConfiguration.virtualMachineConfiguration.nodeAgentSkuId",
	"virtualMachineConfiguration.imageReference.virtualMachineImageId", "deploymentConfiguration.virtualMachineConfiguration.imageReference.id",
	"virtualMachineConfiguration", "deploymentConfiguration.virtualMachineConfiguration",
	"cloudServiceConfiguration", "deploymentConfiguration.cloudServiceConfiguration",
	"targetDedicatedNodes", "scaleSettings.fixedScale.targetDedicatedNodes",
	"targetLowPriorityNodes", "scaleSettings.fixedScale.targetLowPriorityNodes",
	"resizeTimeout", "scaleSettings.fixedScale.resizeTimeout",
	"certificateReferences", "certificates",
	"startTask.userIdentity.username", "startTask.userIdentity.userName",
	"certificateFormat", "format",
)

// inProperties tells a failure of the batch service with the names of Resource
// Manager.
func inProperties(err error) error {
	f, ok := fault.From(err)
	if !ok {
		return err
	}
	out := *f
	out.Details = slices.Clone(f.Details)
	for i, d := range out.Details {
		if d.Key != "PropertyName" || d.Value == "id" || strings.HasPrefix(d.Value, "properties.") {
			continue
		}
		name := "properties." + renamed.Replace(d.Value)
		out.Details[i].Value = name
		out.Message = strings.ReplaceAll(f.Message, "'"+d.Value+"'", "'"+name+"'")
	}
	return &out
}

// A deletion is a DELETE that was answered before its end. It is told again by its
// name alone, as Azure does: what has the name and was made later is something else.
type deletion struct {
	name  string
	asked time.Time
}

func deletionOf(name string) deletion { return deletion{name, time.Now().UTC()} }

func (w deletion) String() string {
	return "delete-" + w.name + "-" + strings.ToUpper(strconv.FormatInt(w.asked.UnixNano(), 16))
}

func parseDeletion(s string) (deletion, error) {
	unknown := fault.NotFound.New("The operation '%.128s' could not be found.", s)
	prefix := len("delete-")
	if len(s) < prefix || !resource.Equal(s[:prefix], "delete-") {
		return deletion{}, unknown
	}
	i := strings.LastIndexByte(s, '-')
	if i <= prefix {
		return deletion{}, unknown
	}
	at, err := strconv.ParseInt(s[i+1:], 16, 64)
	if err != nil {
		return deletion{}, unknown
	}
	return deletion{s[prefix:i], time.Unix(0, at).UTC()}, nil
}

// deleting answers that something is being deleted, and where to ask how it goes.
func (d *Door) deleting(r *http.Request, acct batch.Account, results string, w deletion) rest.Reply {
	return rest.Status(http.StatusAccepted).
		With("Location", d.absolute(r, acct.ID+"/"+results+"/"+w.String())).
		With("Retry-After", "1")
}

// An asked says what a request for a list asks for.
type asked[T any] struct {
	batch.List[T]
	// chosen are the properties of $select; nil is all.
	chosen []string
}

// listing reads the query of a list. properties are those that $filter may name, and
// property returns one of them.
func listing[T any](r *http.Request, properties []string, property func(T, string) string) (asked[T], error) {
	out := asked[T]{List: batch.List[T]{After: rest.Query(r, "$skiptoken")}}
	filter, err := subscription.ParseFilter(rest.Query(r, "$filter"), properties...)
	if err != nil {
		return out, err
	}
	out.Keep = func(v T) bool {
		return filter.Keeps(func(name string) string { return property(v, name) })
	}
	if rest.Has(r, "maxresults") {
		text := rest.Query(r, "maxresults")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pageSize {
			return out, fault.OutOfRangeQueryParameter.New("The value '%.40s' of the query parameter 'maxresults' is not a whole number from 1 to %d.", text, pageSize).
				With("QueryParameterName", "maxresults")
		}
		out.Max = n
	}
	if text := rest.Query(r, "$select"); strings.TrimSpace(text) != "" {
		for name := range strings.SplitSeq(text, ",") {
			name = resource.Fold(strings.TrimSpace(name))
			out.chosen = append(out.chosen, strings.TrimPrefix(name, "properties/"))
		}
	}
	return out, nil
}

// selectedOut is an item of a list with the properties that were asked for.
type selectedOut struct {
	proxyOut
	Identity   *poolIdentityOut `json:"identity,omitempty"`
	Properties any              `json:"properties"`
}

// choose renders an item. The id, name, type and ETag are always told.
func (a asked[T]) choose(head proxyOut, who *poolIdentityOut, properties any) (selectedOut, error) {
	out := selectedOut{head, who, properties}
	if a.chosen == nil {
		return out, nil
	}
	text, err := json.Marshal(properties)
	if err != nil {
		return out, fmt.Errorf("selecting properties: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return out, fmt.Errorf("selecting properties: %w", err)
	}
	some := map[string]json.RawMessage{}
	for name, value := range all {
		for _, want := range a.chosen {
			if resource.Equal(name, want) {
				some[name] = value
			}
		}
	}
	out.Properties = some
	return out, nil
}

// nextPage returns the link to the page behind a token, empty if there is none.
func (d *Door) nextPage(r *http.Request, token string) string {
	if token == "" {
		return ""
	}
	query := url.Values{"$skiptoken": {token}}
	for _, name := range []string{"api-version", "$filter", "$select", "maxresults"} {
		if rest.Has(r, name) {
			query.Set(name, rest.Query(r, name))
		}
	}
	return "https://" + d.Cloud.Management + collapse(r.URL.EscapedPath()) + "?" + query.Encode()
}
