package armapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// call makes a request as the owner and returns status and body.
func (w *world) call(t *testing.T, token, method, target, contentType, body string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, answer
}

// failure is what Resource Manager's failures look like.
type failure struct {
	Error struct{ Code, Message string }
}

func TestBadInputIsToldInAzuresShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.owner(t)
	sub := "/subscriptions/" + w.sub
	if resp, body := w.call(t, token, "PUT", sub+"/resourceGroups/g1?api-version=2021-04-01", "application/json", `{"location":"westus2"}`); resp.StatusCode != 201 {
		t.Fatalf("making a group: %s %s", resp.Status, body)
	}
	const (
		asJSON = "application/json"
		group  = "/resourceGroups/new"
		id     = "/resourceGroups/g1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
		role   = "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-00000000000a"
	)
	deep := strings.Repeat("[", 20000)
	for name, test := range map[string]struct {
		method, path, contentType, body string
		status                          int
		code                            string
	}{
		"group: no body":                 {"PUT", group, asJSON, "", 400, "InvalidRequestContent"},
		"group: no JSON":                 {"PUT", group, asJSON, "{", 400, "InvalidRequestContent"},
		"group: two documents":           {"PUT", group, asJSON, `{"location":"eastus"}{}`, 400, "InvalidRequestContent"},
		"group: an array":                {"PUT", group, asJSON, "[]", 400, "InvalidRequestContent"},
		"group: a text":                  {"PUT", group, asJSON, `"eastus"`, 400, "InvalidRequestContent"},
		"group: null":                    {"PUT", group, asJSON, "null", 400, "LocationRequired"},
		"group: nested too deep":         {"PUT", group, asJSON, `{"tags":` + deep, 400, "InvalidRequestContent"},
		"group: no UTF-8":                {"PUT", group, asJSON, "{\"location\":\"\xff\xfe\"}", 400, "LocationNotAvailableForResourceGroup"},
		"group: location is a number":    {"PUT", group, asJSON, `{"location":5}`, 400, "InvalidRequestContent"},
		"group: no location":             {"PUT", group, asJSON, `{}`, 400, "LocationRequired"},
		"group: unknown location":        {"PUT", group, asJSON, `{"location":"mars"}`, 400, "LocationNotAvailableForResourceGroup"},
		"group: tags are a list":         {"PUT", group, asJSON, `{"location":"eastus","tags":["a"]}`, 400, "InvalidRequestContent"},
		"group: a tag is an object":      {"PUT", group, asJSON, `{"location":"eastus","tags":{"a":{}}}`, 400, "InvalidRequestContent"},
		"group: a tag's name is bad":     {"PUT", group, asJSON, `{"location":"eastus","tags":{"a<b":"c"}}`, 400, "InvalidTagNameCharacters"},
		"group: a tag's value is long":   {"PUT", group, asJSON, `{"location":"eastus","tags":{"a":"` + strings.Repeat("x", 257) + `"}}`, 400, "InvalidTags"},
		"group: bad name":                {"PUT", "/resourceGroups/a%20b", asJSON, `{"location":"eastus"}`, 400, "InvalidResourceGroup"},
		"group: a name with a slash":     {"PUT", "/resourceGroups/a%2Fb", asJSON, `{"location":"eastus"}`, 400, "InvalidResourceGroup"},
		"group: long name":               {"PUT", "/resourceGroups/" + strings.Repeat("x", 91), asJSON, `{"location":"eastus"}`, 400, "InvalidResourceGroup"},
		"group: wrong content type":      {"PUT", group, "text/plain", `{"location":"eastus"}`, 415, "UnsupportedMediaType"},
		"group: no content type":         {"PUT", group, "a b;;", `{"location":"eastus"}`, 415, "UnsupportedMediaType"},
		"group: too large":               {"PUT", group, asJSON, `{"location":"` + strings.Repeat("x", 5<<20) + `"}`, 413, "RequestBodyTooLarge"},
		"group: unknown to PATCH":        {"PATCH", group, asJSON, `{"tags":{}}`, 404, "ResourceGroupNotFound"},
		"group: PATCH with wrong types":  {"PATCH", "/resourceGroups/g1", asJSON, `{"tags":5}`, 400, "InvalidRequestContent"},
		"groups: bad filter":             {"GET", "/resourceGroups?$filter=" + "tagName%20like%20'a'", "", "", 400, "InvalidFilterInQueryString"},
		"groups: bad top":                {"GET", "/resourceGroups?$top=many", "", "", 400, "InvalidParameter"},
		"groups: negative top":           {"GET", "/resourceGroups?$top=-1", "", "", 400, "InvalidParameter"},
		"groups: bad skip token":         {"GET", "/resourceGroups?$skiptoken=!!", "", "", 400, "InvalidParameter"},
		"resources: bad filter":          {"GET", "/resources?$filter=" + strings.Repeat("(", 500), "", "", 400, "InvalidFilterInQueryString"},
		"identity: no JSON":              {"PUT", id, asJSON, "location", 400, "InvalidRequestContent"},
		"identity: no location":          {"PUT", id, asJSON, `{}`, 400, "LocationRequired"},
		"identity: unknown location":     {"PUT", id, asJSON, `{"location":"mars"}`, 400, "LocationNotAvailableForResourceType"},
		"identity: wrong isolation":      {"PUT", id, asJSON, `{"location":"eastus","properties":{"isolationScope":"x"}}`, 400, "InvalidParameter"},
		"identity: properties is a text": {"PUT", id, asJSON, `{"location":"eastus","properties":"x"}`, 400, "InvalidRequestContent"},
		"identity: long name":            {"PUT", id + strings.Repeat("x", 128), asJSON, `{"location":"eastus"}`, 400, "InvalidResourceName"},
		"identity: a name with a slash":  {"PUT", id + "%2Fx", asJSON, `{"location":"eastus"}`, 400, "InvalidParameter"},
		"identity: unknown to PATCH":     {"PATCH", id, asJSON, `{"tags":{}}`, 404, "ResourceNotFound"},
		"identity: federated":            {"PUT", id + "/federatedIdentityCredentials/f1", asJSON, `{}`, 404, "ResourceNotFound"},
		"role: no JSON":                  {"PUT", role, asJSON, "{", 400, "InvalidRequestContent"},
		"role: no properties":            {"PUT", role, asJSON, "{}", 400, "InvalidRequestContent"},
		"role: name is no GUID":          {"PUT", "/providers/Microsoft.Authorization/roleAssignments/mine", asJSON, `{"properties":{"roleDefinitionId":"acdd72a7-3385-48ef-bd42-f606fba81ae7","principalId":"acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`, 400, "InvalidRoleAssignmentId"},
		"role: unknown role":             {"PUT", role, asJSON, `{"properties":{"roleDefinitionId":"x","principalId":"acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`, 400, "RoleDefinitionDoesNotExist"},
		"role: principal is no GUID":     {"PUT", role, asJSON, `{"properties":{"roleDefinitionId":"acdd72a7-3385-48ef-bd42-f606fba81ae7","principalId":"me"}}`, 400, "InvalidParameter"},
		"role: principal is a number":    {"PUT", role, asJSON, `{"properties":{"roleDefinitionId":"x","principalId":7}}`, 400, "InvalidRequestContent"},
		"role: on an unknown group":      {"GET", "/resourceGroups/g9/providers/Microsoft.Authorization/roleAssignments", "", "", 404, "ResourceGroupNotFound"},
		"role: bad filter":               {"GET", "/providers/Microsoft.Authorization/roleAssignments?$filter=x", "", "", 400, "InvalidFilterInQueryString"},
		"role: bad filter of definitions": {
			"GET", "/providers/Microsoft.Authorization/roleDefinitions?$filter=color%20eq%20'red'", "", "", 400,
			"InvalidFilterInQueryString",
		},
		"provider: unknown":         {"POST", "/providers/Contoso.X/register", "", "", 404, "InvalidResourceNamespace"},
		"provider: free":            {"POST", "/providers/Microsoft.Resources/unregister", "", "", 409, "Conflict"},
		"operation: unknown":        {"GET", "/providers/Microsoft.Batch/locations/westus2/operationResults/nothing", "", "", 404, "ResourceNotFound"},
		"unknown type":              {"PUT", "/resourceGroups/g1/providers/Microsoft.Batch/boxes/b1", asJSON, `{}`, 404, "InvalidResourceType"},
		"unknown namespace":         {"PUT", "/resourceGroups/g1/providers/Contoso.X/boxes/b1", asJSON, `{}`, 404, "InvalidResourceNamespace"},
		"half an id":                {"GET", "/resourceGroups/g1/providers", "", "", 404, "ResourceNotFound"},
		"a path with an odd escape": {"GET", "/resourceGroups/%00", "", "", 404, "ResourceGroupNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			target := sub + test.path
			if strings.Contains(target, "?") {
				target += "&api-version=2021-04-01"
			} else {
				target += "?api-version=2021-04-01"
			}
			resp, body := w.call(t, token, test.method, target, test.contentType, test.body)
			var f failure
			if err := json.Unmarshal(body, &f); err != nil {
				t.Fatalf("got %s %.200s, want a failure in JSON", resp.Status, body)
			}
			if resp.StatusCode != test.status || f.Error.Code != test.code || f.Error.Message == "" {
				t.Errorf("got %s %s %q, want %d %s", resp.Status, f.Error.Code, f.Error.Message, test.status, test.code)
			}
			if kind := resp.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
				t.Errorf("Content-Type = %q", kind)
			}
			if resp.Header.Get("x-ms-request-id") == "" || resp.Header.Get("x-ms-correlation-request-id") == "" {
				t.Error("the answer has no request id")
			}
		})
	}
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.owner(t)
	base := "/subscriptions/" + w.sub + "/resourceGroups"
	for i := range 7 {
		target := fmt.Sprintf("%s/g%d?api-version=2021-04-01", base, i)
		if resp, body := w.call(t, token, "PUT", target, "application/json", `{"location":"westus2","tags":{"a":"b c"}}`); resp.StatusCode != 201 {
			t.Fatalf("making a group: %s %s", resp.Status, body)
		}
	}
	var names []string
	target := base + "?$top=3&$filter=tagName%20eq%20'a'&api-version=2021-04-01"
	for pages := 0; target != ""; pages++ {
		resp, body := w.call(t, token, "GET", target, "", "")
		var page struct {
			Value    []struct{ Name string }
			NextLink string
		}
		if err := json.Unmarshal(body, &page); err != nil || resp.StatusCode != 200 || pages > 3 {
			t.Fatalf("page %d: %s %s", pages, resp.Status, body)
		}
		for _, g := range page.Value {
			names = append(names, g.Name)
		}
		if page.NextLink != "" && !strings.HasPrefix(page.NextLink, "https://management.azure.com"+base+"?") {
			t.Errorf("nextLink = %s", page.NextLink)
		}
		target = strings.TrimPrefix(page.NextLink, "https://management.azure.com")
	}
	if got, want := strings.Join(names, " "), "g0 g1 g2 g3 g4 g5 g6"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
