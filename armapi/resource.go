package armapi

import (
	"net/http"
	"time"

	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) resourceRoutes() {
	d.handle("GET "+inSubscription+"/resources", d.listResources)
	d.handle("GET "+inGroup+"/resources", d.listResources)
	for _, scope := range []string{inSubscription, inGroup} {
		d.handle("PUT "+scope+"/providers/Microsoft.Resources/deployments/{deployment}", func(*http.Request, identity.Caller) (rest.Reply, error) {
			return rest.Reply{}, unsupported("The deployment of templates")
		})
	}
}

type resourceOut struct {
	ID                string            `json:"id"`
	Name              string            `json:"name"`
	Type              string            `json:"type"`
	Kind              string            `json:"kind,omitempty"`
	Location          string            `json:"location"`
	SKU               any               `json:"sku,omitempty"`
	Identity          any               `json:"identity,omitempty"`
	Tags              map[string]string `json:"tags"`
	CreatedTime       *time.Time        `json:"createdTime,omitempty"`
	ChangedTime       *time.Time        `json:"changedTime,omitempty"`
	ProvisioningState string            `json:"provisioningState,omitempty"`
}

func (d *Door) listResources(r *http.Request, who identity.Caller) (rest.Reply, error) {
	filter, err := subscription.ParseFilter(rest.Query(r, "$filter"), subscription.ResourceProperties...)
	if err != nil {
		return rest.Reply{}, err
	}
	scope := "/subscriptions/" + r.PathValue("sub")
	if group := r.PathValue("group"); group != "" {
		scope = resource.GroupID(r.PathValue("sub"), group)
	}
	all, err := d.Subscriptions.Resources(r.Context(), who, scope, filter)
	if err != nil {
		return rest.Reply{}, err
	}
	all, next, err := paged(d, r, all, func(v subscription.Resource) string { return resource.Fold(v.ID) })
	if err != nil {
		return rest.Reply{}, err
	}
	out := listOf(all, func(v subscription.Resource) resourceOut { return showResource(r, v) })
	out.NextLink = next
	return rest.OK(out), nil
}

func showResource(r *http.Request, v subscription.Resource) resourceOut {
	out := resourceOut{
		ID: v.ID, Kind: v.Kind, Location: v.Location, SKU: v.SKU, Identity: v.Identity, Tags: v.Tags,
	}
	if id, err := resource.ParseID(v.ID); err == nil {
		out.Name, out.Type = id.Name(), id.Type()
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	if expands(r, "createdTime") {
		out.CreatedTime = &v.Created
	}
	if expands(r, "changedTime") {
		out.ChangedTime = &v.Changed
	}
	if expands(r, "provisioningState") {
		out.ProvisioningState = v.State
		if v.State == "" {
			out.ProvisioningState = "Succeeded"
		}
	}
	return out
}
