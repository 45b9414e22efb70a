package armapi

import (
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) subscriptionRoutes() {
	d.handle("GET /subscriptions", d.listSubscriptions)
	d.handle("GET "+inSubscription, d.getSubscription)
	d.handle("GET "+inSubscription+"/locations", d.listLocations)
	d.handle("GET /tenants", d.listTenants)
	d.handle("POST /providers/Microsoft.Resources/checkResourceName", d.checkResourceName)
}

type subscriptionOut struct {
	ID                   string      `json:"id"`
	AuthorizationSource  string      `json:"authorizationSource"`
	ManagedByTenants     []string    `json:"managedByTenants"`
	SubscriptionID       string      `json:"subscriptionId"`
	TenantID             string      `json:"tenantId"`
	DisplayName          string      `json:"displayName"`
	State                string      `json:"state"`
	SubscriptionPolicies policiesOut `json:"subscriptionPolicies"`
}

type policiesOut struct {
	LocationPlacementID string `json:"locationPlacementId"`
	QuotaID             string `json:"quotaId"`
	SpendingLimit       string `json:"spendingLimit"`
}

func showSubscription(s subscription.Subscription) subscriptionOut {
	return subscriptionOut{
		ID: "/subscriptions/" + s.ID, AuthorizationSource: "RoleBased", ManagedByTenants: []string{},
		SubscriptionID: s.ID, TenantID: s.Tenant, DisplayName: s.Name, State: "Enabled",
		SubscriptionPolicies: policiesOut{"Public_2014-09-01", "PayAsYouGo_2014-09-01", "Off"},
	}
}

func (d *Door) listSubscriptions(r *http.Request, who identity.Caller) (rest.Reply, error) {
	subs, err := d.Subscriptions.Subscriptions(r.Context(), who)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(subs, showSubscription)), nil
}

func (d *Door) getSubscription(r *http.Request, who identity.Caller) (rest.Reply, error) {
	s, err := d.Subscriptions.ReadSubscription(r.Context(), who, r.PathValue("sub"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showSubscription(s)), nil
}

type tenantOut struct {
	ID             string   `json:"id"`
	TenantID       string   `json:"tenantId"`
	DisplayName    string   `json:"displayName"`
	DefaultDomain  string   `json:"defaultDomain"`
	Domains        []string `json:"domains"`
	TenantCategory string   `json:"tenantCategory"`
	TenantType     string   `json:"tenantType"`
}

// listTenants lists the tenant of the caller: there is one, and it gave the token.
func (d *Door) listTenants(*http.Request, identity.Caller) (rest.Reply, error) {
	id, domain := d.Directory.Tenant(), d.Directory.Domain()
	return rest.OK(list[tenantOut]{Value: []tenantOut{{
		ID: "/tenants/" + id, TenantID: id, DisplayName: d.Directory.TenantName(),
		DefaultDomain: domain, Domains: []string{domain}, TenantCategory: "Home", TenantType: "AAD",
	}}}), nil
}

type locationOut struct {
	ID                  string              `json:"id"`
	Name                string              `json:"name"`
	Type                string              `json:"type"`
	DisplayName         string              `json:"displayName"`
	RegionalDisplayName string              `json:"regionalDisplayName"`
	Metadata            locationMetadataOut `json:"metadata"`
}

type locationMetadataOut struct {
	RegionType       string    `json:"regionType"`
	RegionCategory   string    `json:"regionCategory"`
	Geography        string    `json:"geography"`
	GeographyGroup   string    `json:"geographyGroup"`
	Longitude        string    `json:"longitude"`
	Latitude         string    `json:"latitude"`
	PhysicalLocation string    `json:"physicalLocation"`
	PairedRegion     []pairOut `json:"pairedRegion"`
}

type pairOut struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

func (d *Door) listLocations(r *http.Request, who identity.Caller) (rest.Reply, error) {
	s, err := d.Subscriptions.ReadSubscription(r.Context(), who, r.PathValue("sub"))
	if err != nil {
		return rest.Reply{}, err
	}
	under := "/subscriptions/" + s.ID + "/locations/"
	return rest.OK(listOf(subscription.Locations(), func(l subscription.Location) locationOut {
		out := locationOut{
			ID: under + l.Name, Name: l.Name, Type: "Region", DisplayName: l.Display,
			RegionalDisplayName: "(" + l.Prefix + ") " + l.Display,
			Metadata: locationMetadataOut{
				RegionType: "Physical", RegionCategory: "Other", Geography: l.Geography, GeographyGroup: l.Group,
				Longitude: l.Longitude, Latitude: l.Latitude, PhysicalLocation: l.Place, PairedRegion: []pairOut{},
			},
		}
		if l.Recommended {
			out.Metadata.RegionCategory = "Recommended"
		}
		if l.Pair != "" {
			out.Metadata.PairedRegion = []pairOut{{l.Pair, under + l.Pair}}
		}
		return out
	})), nil
}

type nameBody struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type nameStatusOut struct {
	nameBody
	Status string `json:"status"`
}

func (d *Door) checkResourceName(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	var in nameBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == "" || in.Type == "" {
		return rest.Reply{}, fault.InvalidRequestContent.New("The properties 'name' and 'type' are required.")
	}
	out := nameStatusOut{in, "Allowed"}
	if !subscription.NameAllowed(in.Name) {
		out.Status = "Reserved"
	}
	return rest.OK(out), nil
}
