package armapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) groupRoutes() {
	d.handle("GET "+inSubscription+"/resourceGroups", d.listGroups)
	d.handle("PUT "+inGroup, d.putGroup)
	d.handle("GET "+inGroup, d.getGroup)
	d.handle("HEAD "+inGroup, d.headGroup)
	d.handle("PATCH "+inGroup, d.patchGroup)
	d.handle("DELETE "+inGroup, d.deleteGroup)
	for _, verb := range []string{"exportTemplate", "moveResources", "validateMoveResources"} {
		d.handle("POST "+inGroup+"/"+verb, func(*http.Request, identity.Caller) (rest.Reply, error) {
			return rest.Reply{}, unsupported("The operation '" + verb + "' on resource groups")
		})
	}
}

type groupIn struct {
	Location  string            `json:"location"`
	ManagedBy string            `json:"managedBy"`
	Tags      map[string]string `json:"tags"`
}

type groupPatch struct {
	Location  rest.Field[string]            `json:"location"`
	ManagedBy rest.Field[string]            `json:"managedBy"`
	Tags      rest.Field[map[string]string] `json:"tags"`
}

type groupOut struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Location    string            `json:"location"`
	ManagedBy   string            `json:"managedBy,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	CreatedTime *time.Time        `json:"createdTime,omitempty"`
	ChangedTime *time.Time        `json:"changedTime,omitempty"`
	Properties  provisioningOut   `json:"properties"`
}

type provisioningOut struct {
	ProvisioningState string `json:"provisioningState"`
}

func showGroup(g subscription.Group) groupOut {
	out := groupOut{
		ID: g.ID(), Name: g.Name, Type: subscription.GroupType, Location: g.Location, ManagedBy: g.ManagedBy, Tags: g.Tags,
		Properties: provisioningOut{"Succeeded"},
	}
	if g.Deleting {
		out.Properties.ProvisioningState = "Deleting"
	}
	return out
}

func (d *Door) putGroup(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in groupIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	g, created, err := d.Subscriptions.PutGroup(r.Context(), who, subscription.Group{
		Subscription: r.PathValue("sub"), Name: r.PathValue("group"),
		Location: in.Location, ManagedBy: in.ManagedBy, Tags: in.Tags,
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return made(created, showGroup(g)), nil
}

// made is the answer to a PUT: 201 for something new, else 200.
func made(created bool, body any) rest.Reply {
	reply := rest.OK(body)
	if created {
		reply.Status = http.StatusCreated
	}
	return reply
}

func (d *Door) getGroup(r *http.Request, who identity.Caller) (rest.Reply, error) {
	g, err := d.Subscriptions.ReadGroup(r.Context(), who, r.PathValue("sub"), r.PathValue("group"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showGroup(g)), nil
}

func (d *Door) headGroup(r *http.Request, who identity.Caller) (rest.Reply, error) {
	_, err := d.Subscriptions.ReadGroup(r.Context(), who, r.PathValue("sub"), r.PathValue("group"))
	return head(err)
}

func (d *Door) patchGroup(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in groupPatch
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	sub, name := r.PathValue("sub"), r.PathValue("group")
	if in.Location.Set {
		g, err := d.Subscriptions.ReadGroup(r.Context(), who, sub, name)
		if err != nil {
			return rest.Reply{}, err
		}
		if subscription.LocationName(in.Location.Value) != g.Location {
			return rest.Reply{}, fault.GroupLocationConflict.New("Invalid resource group location '%s'. The Resource group already exists in location '%s'.",
				in.Location.Value, g.Location)
		}
	}
	var change subscription.GroupChange
	if in.Tags.Set {
		change.Tags = &in.Tags.Value
	}
	if in.ManagedBy.Set {
		change.ManagedBy = &in.ManagedBy.Value
	}
	g, err := d.Subscriptions.ChangeGroup(r.Context(), who, sub, name, change)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showGroup(g)), nil
}

func (d *Door) deleteGroup(r *http.Request, who identity.Caller) (rest.Reply, error) {
	op, err := d.Subscriptions.DeleteGroup(r.Context(), who, r.PathValue("sub"), r.PathValue("group"))
	if err != nil {
		return rest.Reply{}, err
	}
	return d.accepted(r, op), nil
}

func (d *Door) listGroups(r *http.Request, who identity.Caller) (rest.Reply, error) {
	filter, err := subscription.ParseFilter(rest.Query(r, "$filter"), subscription.GroupProperties...)
	if err != nil {
		return rest.Reply{}, err
	}
	groups, err := d.Subscriptions.Groups(r.Context(), who, r.PathValue("sub"), filter)
	if err != nil {
		return rest.Reply{}, err
	}
	// Groups come in the order in which they were made, so the place of the last one
	// is where the next page begins, whatever is deleted meanwhile.
	groups, next, err := paged(d, r, groups, subscription.Group.Cursor)
	if err != nil {
		return rest.Reply{}, err
	}
	out := listOf(groups, func(g subscription.Group) groupOut {
		o := showGroup(g)
		if expands(r, "createdTime") {
			o.CreatedTime = &g.Created
		}
		if expands(r, "changedTime") {
			o.ChangedTime = &g.Changed
		}
		return o
	})
	out.NextLink = next
	return rest.OK(out), nil
}

// pageSize is how many items a list has at most, as in Azure.
const pageSize = 1000

// paged cuts a list, which is sorted by cursor, to the page that a request asks for
// with $top and $skiptoken, and returns the link to the next one.
func paged[T any](d *Door, r *http.Request, all []T, cursor func(T) string) (page []T, next string, err error) {
	size := pageSize
	if rest.Has(r, "$top") {
		top := rest.Query(r, "$top")
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 {
			return nil, "", fault.InvalidParameter.New("The value '%.40s' of the query parameter '$top' is not a positive whole number.", top)
		}
		size = min(n, pageSize)
	}
	if rest.Has(r, "$skiptoken") {
		behind, err := base64.RawURLEncoding.DecodeString(rest.Query(r, "$skiptoken"))
		if err != nil || len(behind) == 0 {
			return nil, "", fault.InvalidParameter.New("The value of the query parameter '$skiptoken' is not one that a list returned.")
		}
		for len(all) > 0 && cursor(all[0]) <= string(behind) {
			all = all[1:]
		}
	}
	if len(all) <= size {
		return all, "", nil
	}
	query := url.Values{"$skiptoken": {base64.RawURLEncoding.EncodeToString([]byte(cursor(all[size-1])))}}
	for _, name := range []string{"api-version", "$filter", "$expand", "$top"} {
		if rest.Has(r, name) {
			query.Set(name, rest.Query(r, name))
		}
	}
	return all[:size], "https://" + d.Cloud.Management + collapse(r.URL.EscapedPath()) + "?" + query.Encode(), nil
}
