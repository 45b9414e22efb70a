package servertest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/client"
	"latchkey/resource"
	"latchkey/servertest"
)

// audiences are what tokens are asked for at each door; the second is another's.
var audiences = map[string][2]string{
	"management": {"https://management.azure.com/", "https://vault.azure.net"},
	"vault":      {"https://vault.azure.net", "https://management.azure.com/"},
	"batch":      {"https://batch.core.windows.net/", "https://management.azure.com/"},
	"graph":      {"https://graph.microsoft.com", "https://management.azure.com/"},
}

// open are the routes that need no caller.
var open = []string{"GET /metadata/endpoints", "GET /healthz", "GET /readyz", "GET /metrics"}

// Every route of every door refuses every wrong token with 401, before it looks at
// anything else, and says where to get a right one.
func TestEveryRouteRefusesWrongTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newForger(t, dir)
	w := settle(t, servertest.Start(t, dir))
	w.makeVault()
	me := w.me()
	refusals := 0
	for door, audience := range audiences {
		bad := f.bad(t, audience[0], audience[1], me, w.ClientID)
		all := w.remaining([]target{
			{door: "management", host: "management.azure.com", query: batchVersion},
			{door: "graph", host: "graph.microsoft.com"},
			{door: "vault", host: strings.TrimPrefix(w.keys, "https://"), query: keysVersion},
			{door: "batch", host: strings.TrimPrefix(w.data, "https://"), query: dataVersion},
		})
		for i, target := range all {
			if target.door != door || slices.Contains(open, target.method+" "+target.path) {
				continue
			}
			url := "https://" + target.host + target.uri(nil)
			for name, value := range bad {
				// Each token is tried on a part of the routes, and all on the first.
				if i%5 != 0 && len(name)%5 != i%5 && name != "none" && name != "another's key" && name != "wrong audience" {
					continue
				}
				resp := w.raw(target.method, url, target.body, http.Header{"Authorization": {value}})
				code := codeOf(resp)
				scheme := door == "batch" && (name == "no scheme" || name == "another scheme") && resp.status == http.StatusBadRequest && (code == "InvalidAuthenticationInfo" || target.method == http.MethodHead)
				if !scheme && (resp.status != http.StatusUnauthorized || code == "" && target.method != http.MethodHead || resp.header.Get("WWW-Authenticate") == "") {
					t.Errorf("%s %s with the token %q = %d %s, want 401 with a challenge", target.method, url, name, resp.status, resp.body)
				}
				refusals++
			}
		}
		// The same claims with nothing wrong are good: the table is about what it says.
		first := map[string]string{
			"management": management + w.account + "?" + batchVersion, "vault": w.keys + "/keys?" + keysVersion,
			"batch": w.data + "/jobs?" + dataVersion, "graph": "https://graph.microsoft.com/v1.0/servicePrincipals",
		}[door]
		good := f.sign(t, f.claims(audience[0], me, w.ClientID))
		if resp := w.raw(http.MethodGet, first, nil, http.Header{"Authorization": {"Bearer " + good}}); resp.status != http.StatusOK {
			t.Errorf("GET %s with a right token = %d %s", first, resp.status, resp.body)
		}
	}
	t.Logf("%d requests were refused", refusals)
}

// raw makes a request with no token but what the header has.
func (w *world) raw(method, url string, in any, header http.Header) answer {
	w.t.Helper()
	if header.Get("Authorization") != "" {
		resp, err := w.Do(context.Background(), method, url, in, header)
		if err != nil {
			w.t.Fatal(err)
		}
		return answer{resp.Status, resp.Header, resp.Body}
	}
	req, err := http.NewRequest(method, url, http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.HTTP().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// A person is a principal with tokens of its own.
type person struct {
	w                  *world
	f                  *forger
	id                 string
	objectID, clientID string
}

func (w *world) newPerson(f *forger, name string) *person {
	w.t.Helper()
	p := &person{w: w, f: f, id: w.makeIdentity(name)}
	var made struct {
		Properties struct{ PrincipalID, ClientID string }
	}
	w.must(http.MethodGet, management+p.id+"?api-version=2023-01-31", nil, &made)
	p.objectID, p.clientID = made.Properties.PrincipalID, made.Properties.ClientID
	return p
}

const (
	contributorRole = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	readerRole      = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
)

// give gives a person a role on a scope and returns the address of the assignment.
func (p *person) give(role, scope string) string {
	p.w.t.Helper()
	url := management + scope + "/providers/Microsoft.Authorization/roleAssignments/" + resource.NewGUID() + "?api-version=2022-04-01"
	p.w.must(http.MethodPut, url, object{"properties": object{
		"roleDefinitionId": "/subscriptions/" + p.w.SubscriptionID + "/providers/Microsoft.Authorization/roleDefinitions/" + role, "principalId": p.objectID,
	}}, nil)
	return url
}

// asks makes a request with a token of the person's.
func (p *person) asks(t *testing.T, method, url string, in any) answer {
	t.Helper()
	audience := "management"
	switch {
	case strings.Contains(url, ".vault.azure.net"):
		audience = "vault"
	case strings.Contains(url, ".batch.azure.com"):
		audience = "batch"
	case strings.Contains(url, "graph.microsoft.com"):
		audience = "graph"
	}
	token := p.f.sign(t, p.f.claims(audiences[audience][0], p.objectID, p.clientID))
	return p.w.raw(method, url, in, http.Header{"Authorization": {"Bearer " + token}})
}

func (p *person) gets(t *testing.T, status int, code, method, url string, in any) {
	t.Helper()
	if a := p.asks(t, method, url, in); a.status != status || codeOf(a) != code {
		t.Errorf("%s %s = %d %s, want %d %s", method, url, a.status, a.body, status, code)
	}
}

// Who has no role learns nothing and changes nothing, at any route of any door.
func TestWithoutARoleNothingIsAllowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newForger(t, dir)
	w := settle(t, servertest.Start(t, dir))
	targets := w.targets()
	targets = append(targets, w.remaining(targets)...)
	nobody := w.newPerson(f, "nobody")
	before := w.picture()
	for _, target := range targets {
		if target.plain != "" || target.door == "login" || target.door == "graph" || !strings.Contains(target.path, "{sub}") && !strings.Contains(target.path, "{scope}") && target.door == "management" {
			// Sign-in needs no role, the directory may be read by its members, and what
			// hangs on no subscription is told to all.
			continue
		}
		url := "https://" + target.host + target.uri(nil)
		a := nobody.asks(t, target.method, url, target.body)
		if !denied(a, target) && !strings.HasPrefix(target.path, "/subscriptions/{sub}/providers") && !tellsNothing(a, target) {
			t.Errorf("%s %s %s = %d %s, want 403", target.door, target.method, target.path, a.status, a.body)
		}
	}
	if after := w.picture(); after != before {
		t.Errorf("it changed something: got\n%s\nwant\n%s", after, before)
	}
	nobody.gets(t, 200, "", http.MethodGet, management+"/subscriptions?api-version=2022-12-01", nil)
	if a := nobody.asks(t, http.MethodGet, management+"/subscriptions?api-version=2022-12-01", nil); strings.Contains(string(a.body), w.SubscriptionID) {
		t.Errorf("a caller without a role is told of the subscription: %s", a.body)
	}
}

// denied reports whether an answer is the refusal of somebody without a role.
func denied(a answer, of target) bool {
	switch codeOf(a) {
	case "AuthorizationFailed", "Forbidden", "InsufficientAccountPermissions":
		return a.status == http.StatusForbidden
	}
	return a.status == http.StatusForbidden && of.method == http.MethodHead
}

// tellsNothing reports whether an answer is the same for everybody: what this service
// does not have, for whomever, and lists of what one may see.
func tellsNothing(a answer, of target) bool {
	switch codeOf(a) {
	case "OperationNotSupported", "UnsupportedOperation", "SecretNotFound", "CertificateNotFound", "InvalidResourceNamespace":
		return true
	case "ResourceNotFound":
		return of.door == "vault" || strings.Contains(of.path, "{operation}") || strings.Contains(of.path, "anagedHSMs/") || strings.Contains(of.path, "federated")
	}
	if of.method == http.MethodHead && strings.HasPrefix(of.path, "/jobschedules/") {
		return a.status == http.StatusBadRequest
	}
	return a.status == http.StatusOK && strings.Contains(string(a.body), `"value":[]`)
}

// asksOnly reports whether a POST changes nothing.
func asksOnly(of target) bool {
	return strings.HasSuffix(strings.ToLower(of.path), "/checknameavailability")
}

// Reader reads and does not write, Contributor writes and gives no roles, Owner does
// both; what is gone has no say.
func TestRolesDecideAtEveryDoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newForger(t, dir)
	w := settle(t, servertest.Start(t, dir))
	targets := w.targets()
	targets = append(targets, w.remaining(targets)...)
	reader, contributor := w.newPerson(f, "reader"), w.newPerson(f, "contributor")
	reader.give(readerRole, "/subscriptions/"+w.SubscriptionID)
	onGroup := contributor.give(contributorRole, w.group)
	before := w.picture()
	for _, target := range targets {
		url := "https://" + target.host + target.uri(nil)
		write := target.method != http.MethodGet && target.method != http.MethodHead
		roles := strings.Contains(target.path, "roleAssignments") || strings.Contains(target.path, "roleDefinitions/")
		switch {
		case target.plain != "", target.door == "login" || target.door == "graph" || target.door == "vault" || strings.HasPrefix(target.path, "/providers/"):
		case write:
			if a := reader.asks(t, target.method, url, target.body); !denied(a, target) && !tellsNothing(a, target) && !asksOnly(target) {
				t.Errorf("a reader: %s %s %s = %d %s, want 403", target.door, target.method, target.path, a.status, a.body)
			}
			if roles {
				if a := contributor.asks(t, target.method, url, target.body); !denied(a, target) && !tellsNothing(a, target) {
					t.Errorf("a contributor: %s %s %s = %d %s, want 403", target.door, target.method, target.path, a.status, a.body)
				}
			}
		default:
			if a := reader.asks(t, target.method, url, nil); a.status == http.StatusForbidden && codeOf(a) == "AuthorizationFailed" {
				t.Errorf("a reader: %s %s %s = %d %s, want it to be read", target.door, target.method, target.path, a.status, a.body)
			}
		}
	}
	if after := w.picture(); after != before {
		t.Errorf("the reader changed something: got\n%s\nwant\n%s", after, before)
	}
	account, keysOf := management+w.account+"?"+batchVersion, management+w.account+"/listKeys?"+batchVersion
	reader.gets(t, 200, "", http.MethodGet, account, nil)
	reader.gets(t, 403, "AuthorizationFailed", http.MethodPost, keysOf, nil)
	reader.gets(t, 403, "AuthorizationFailed", http.MethodPatch, account, object{"tags": object{"x": "y"}})
	contributor.gets(t, 200, "", http.MethodPatch, account, object{"tags": object{"x": "y"}})
	contributor.gets(t, 200, "", http.MethodPost, keysOf, nil)
	contributor.gets(t, 201, "", http.MethodPost, w.data+"/jobs?"+dataVersion, object{"id": "theirs", "poolInfo": object{"poolId": "p1"}})
	// Vaults ask their own access policies, whatever the role.
	contributor.gets(t, 403, "Forbidden", http.MethodGet, w.keys+"/keys?"+keysVersion, nil)
	// A role on one group says nothing of the next, nor of the subscription.
	other := management + "/subscriptions/" + w.SubscriptionID + "/resourceGroups/g2?" + groupsVersion
	w.must(http.MethodPut, other, object{"location": "westus2"}, nil)
	contributor.gets(t, 403, "AuthorizationFailed", http.MethodGet, other, nil)
	reader.gets(t, 200, "", http.MethodGet, other, nil)
	// A role that is taken away is gone with the next call.
	w.must(http.MethodDelete, onGroup, nil, nil)
	contributor.gets(t, 403, "AuthorizationFailed", http.MethodGet, account, nil)
	contributor.gets(t, 403, "AuthorizationFailed", http.MethodGet, w.data+"/jobs?"+dataVersion, nil)
	// A principal that is gone has no tokens any more.
	w.must(http.MethodDelete, management+reader.id+"?api-version=2023-01-31", nil, nil)
	for _, url := range []string{account, w.data + "/jobs?" + dataVersion, w.keys + "/keys?" + keysVersion, "https://graph.microsoft.com/v1.0/servicePrincipals"} {
		if a := reader.asks(t, http.MethodGet, url, nil); a.status != http.StatusUnauthorized {
			t.Errorf("a deleted principal: GET %s = %d %s, want 401", url, a.status, a.body)
		}
	}
}

// signed makes a request with an account's key, as the SDKs do.
func (w *world) signed(name, key, method, url string, change func(http.Header)) answer {
	w.t.Helper()
	date := time.Now().UTC().Format(http.TimeFormat)
	path, query, _ := strings.Cut(strings.TrimPrefix(url[len("https://"):], strings.SplitN(url[len("https://"):], "/", 2)[0]), "?")
	name0, value, _ := strings.Cut(query, "=")
	text := method + strings.Repeat("\n", 12) + "ocp-date:" + date + "\n/" + name + path + "\n" + name0 + ":" + value
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		w.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	header := http.Header{"Ocp-Date": {date}, "Authorization": {"SharedKey " + name + ":" + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	if change != nil {
		change(header)
	}
	return w.raw(method, url, nil, header)
}

type accountKeys struct{ Primary, Secondary string }

func (w *world) accountKeys() (k accountKeys) {
	w.t.Helper()
	w.must(http.MethodPost, management+w.account+"/listKeys?"+batchVersion, nil, &k)
	return k
}

// An account's keys open that account and nothing else, until they are made anew, and
// only as long as the account says so.
func TestAccountKeysOpenTheirAccountOnly(t *testing.T) {
	t.Parallel()
	service := servertest.Start(t, t.TempDir())
	w, other := settle(t, service), settle(t, service)
	id, _ := resource.ParseID(w.account)
	otherID, _ := resource.ParseID(other.account)
	name, otherName := id.Name(), otherID.Name()
	mine, theirs := w.accountKeys(), other.accountKeys()
	jobs := w.data + "/jobs?" + dataVersion
	check := func(what string, a answer, status int, code string) {
		t.Helper()
		if a.status != status || codeOf(a) != code {
			t.Errorf("%s = %d %s, want %d %s", what, a.status, a.body, status, code)
		}
	}
	const refused = "AuthenticationFailed"
	check("the primary key", w.signed(name, mine.Primary, "GET", jobs, nil), 200, "")
	check("the secondary key", w.signed(name, mine.Secondary, "GET", jobs, nil), 200, "")
	check("the name in other letters", w.signed(strings.ToUpper(name), mine.Primary, "GET", jobs, nil), 200, "")
	check("another account's key", w.signed(name, theirs.Primary, "GET", jobs, nil), 403, refused)
	check("another account's key and name", w.signed(otherName, theirs.Primary, "GET", jobs, nil), 403, refused)
	check("another account's name", w.signed(otherName, mine.Primary, "GET", jobs, nil), 403, refused)
	check("a signature of another method", w.signed(name, mine.Primary, "GET", jobs, func(h http.Header) {
		h.Set("If-Match", "added later")
	}), 403, refused)
	check("an old date", w.signed(name, mine.Primary, "GET", jobs, func(h http.Header) {
		h.Set("Ocp-Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}), 403, refused)
	check("no date", w.signed(name, mine.Primary, "GET", jobs, func(h http.Header) { h.Del("Ocp-Date") }), 403, refused)
	check("half a signature", w.signed(name, mine.Primary, "GET", jobs, func(h http.Header) {
		h.Set("Authorization", h.Get("Authorization")[:len(h.Get("Authorization"))-12])
	}), 403, refused)
	// Signed for one thing, sent to another.
	moved := http.Header{}
	w.signed(name, mine.Primary, "GET", jobs, func(h http.Header) { moved = h.Clone() })
	check("a signature of another path", w.raw("GET", w.data+"/pools?"+dataVersion, nil, moved), 403, refused)
	check("a signature of another query", w.raw("GET", w.data+"/jobs?api-version=2023-05-01.17.0", nil, moved), 403, refused)
	check("a signature of another account", w.raw("GET", other.data+"/jobs?"+dataVersion, nil, moved), 403, refused)
	// Keys are for the account's data alone.
	for _, url := range []string{management + w.account + "?" + batchVersion, w.keys + "/keys?" + keysVersion} {
		if a := w.raw("GET", url, nil, moved); a.status != http.StatusUnauthorized {
			t.Errorf("an account's key at %s = %d %s, want 401", url, a.status, a.body)
		}
	}

	w.must(http.MethodPost, management+w.account+"/regenerateKeys?"+batchVersion, object{"keyName": "Primary"}, nil)
	check("the old primary key", w.signed(name, mine.Primary, "GET", jobs, nil), 403, refused)
	check("the secondary key still", w.signed(name, mine.Secondary, "GET", jobs, nil), 200, "")
	fresh := w.accountKeys()
	check("the new primary key", w.signed(name, fresh.Primary, "GET", jobs, nil), 200, "")
	if fresh.Secondary != mine.Secondary || fresh.Primary == mine.Primary {
		t.Error("regenerating the primary key did not change that key alone")
	}

	modes := func(modes ...string) {
		w.must(http.MethodPatch, management+w.account+"?"+batchVersion, object{"properties": object{"allowedAuthenticationModes": modes}}, nil)
	}
	modes("AAD")
	check("a key where only tokens are allowed", w.signed(name, fresh.Primary, "GET", jobs, nil), 403, refused)
	w.must(http.MethodGet, jobs, nil, nil)
	modes("SharedKey")
	check("a key where only keys are allowed", w.signed(name, fresh.Primary, "GET", jobs, nil), 200, "")
	if err := w.Call(context.Background(), http.MethodGet, jobs, nil, nil); !client.IsCode(err, refused) {
		t.Errorf("a token where only keys are allowed = %v, want %s", err, refused)
	}
	modes("AAD", "SharedKey")
	w.must(http.MethodGet, jobs, nil, nil)
}
