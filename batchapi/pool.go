package batchapi

import (
	"net/http"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) poolRoutes() {
	d.door.Handle("POST /pools", d.addPool)
	d.door.Handle("GET /pools", d.listPools)
	d.door.Handle("GET /pools/{pool}", d.getPool)
	d.door.Handle("HEAD /pools/{pool}", d.getPool)
	d.door.Handle("PATCH /pools/{pool}", d.patchPool)
	d.door.Handle("DELETE /pools/{pool}", d.deletePool)
	d.door.Handle("POST /pools/{pool}/updateproperties", d.updatePool)
	d.door.Handle("POST /pools/{pool}/resize", d.resizePool)
	d.door.Handle("POST /pools/{pool}/stopresize", d.stopResize)
	d.door.Handle("POST /pools/{pool}/removenodes", d.removeNodes)
	// Azure lets the pools without automatic scaling be told to stop it.
	d.door.Handle("POST /pools/{pool}/disableautoscale", d.disableAutoScale)
	d.door.Handle("GET /nodecounts", d.nodeCounts)
}

func (d *Door) addPool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in poolBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	var spec batch.PoolSpec
	if err := in.apply(&spec); err != nil {
		return rest.Reply{}, err
	}
	if in.Dedicated == nil && in.LowPriority == nil {
		return rest.Reply{}, batch.NoProperty("targetDedicatedNodes")
	}
	spec.ID = in.ID
	spec.Dedicated, spec.LowPriority = number(in.Dedicated, 0), number(in.LowPriority, 0)
	spec.ResizeTimeout = duration(in.ResizeTimeout, 15*time.Minute)
	p, err := d.Batch.AddPool(r.Context(), who, account(r), spec)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusCreated, "/pools/"+p.ID, p.Modified), nil
}

func (d *Door) getPool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	p, err := d.Batch.Pool(r.Context(), who, account(r), r.PathValue("pool"))
	if err != nil {
		return rest.Reply{}, err
	}
	return entity(r, "pools", writePool(account(r).URL, p), p.Modified)
}

func (d *Door) listPools(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct := account(r)
	return list(r, "pools", func(p batch.Pool) poolOut { return writePool(acct.URL, p) },
		func(l batch.List[batch.Pool]) ([]batch.Pool, string, error) {
			return d.Batch.Pools(r.Context(), who, acct, l)
		})
}

func (d *Door) patchPool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in poolBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Dedicated != nil || in.LowPriority != nil {
		return rest.Reply{}, batch.BadProperty("targetDedicatedNodes", "", "a pool's size is changed with resize")
	}
	p, err := d.Batch.ChangePool(r.Context(), who, account(r), r.PathValue("pool"), condition(r), in.apply)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusOK, "/pools/"+p.ID, p.Modified), nil
}

// updatePool replaces all that it may set: what the body leaves out is taken away.
func (d *Door) updatePool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in poolBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	for name, missing := range map[string]bool{
		"certificateReferences": in.Certificates == nil, "applicationPackageReferences": in.Packages == nil, "metadata": in.Metadata == nil,
	} {
		// Newer clients, which know no certificates, leave them out.
		if missing && name != "certificateReferences" {
			return rest.Reply{}, batch.NoProperty(name)
		}
	}
	p, err := d.Batch.ChangePool(r.Context(), who, account(r), r.PathValue("pool"), condition(r), func(p *batch.PoolSpec) error {
		p.StartTask, p.Certificates, p.Metadata = nil, nil, nil
		only := poolBody{
			StartTask: in.StartTask, Certificates: in.Certificates, Metadata: in.Metadata,
			Packages: in.Packages, Communication: in.Communication,
		}
		return only.apply(p)
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusNoContent, "/pools/"+p.ID, p.Modified), nil
}

func (d *Door) deletePool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if err := d.Batch.DeletePool(r.Context(), who, account(r), r.PathValue("pool"), condition(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusAccepted), nil
}

func (d *Door) resizePool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in resizeBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	dedicated, err := target("targetDedicatedNodes", in.Dedicated)
	if err != nil {
		return rest.Reply{}, err
	}
	low, err := target("targetLowPriorityNodes", in.LowPriority)
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.ResizePool(r.Context(), who, account(r), r.PathValue("pool"), condition(r), batch.Resize{
		Dedicated: dedicated, LowPriority: low, Timeout: in.timeout(), Option: strings.ToLower(in.Option),
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusAccepted, "/pools/"+p.ID+"/resize", p.Modified), nil
}

func (d *Door) stopResize(r *http.Request, who identity.Caller) (rest.Reply, error) {
	p, err := d.Batch.StopResize(r.Context(), who, account(r), r.PathValue("pool"), condition(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusAccepted, "/pools/"+p.ID+"/stopresize", p.Modified), nil
}

func (d *Door) disableAutoScale(r *http.Request, who identity.Caller) (rest.Reply, error) {
	p, err := d.Batch.ChangePool(r.Context(), who, account(r), r.PathValue("pool"), condition(r), func(*batch.PoolSpec) error { return nil })
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusOK, "/pools/"+p.ID+"/disableautoscale", p.Modified), nil
}

func (d *Door) removeNodes(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in resizeBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.RemoveNodes(r.Context(), who, account(r), r.PathValue("pool"), condition(r), in.Nodes, in.timeout(), strings.ToLower(in.Option))
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusAccepted, "/pools/"+p.ID+"/removenodes", p.Modified), nil
}

// nodeCounts are the nodes of one pool by state.
type nodeCountsOut struct {
	PoolID      string `json:"poolId"`
	Dedicated   counts `json:"dedicated"`
	LowPriority counts `json:"lowPriority"`
}

type counts struct {
	Creating            int `json:"creating"`
	Idle                int `json:"idle"`
	Offline             int `json:"offline"`
	Preempted           int `json:"preempted"`
	Rebooting           int `json:"rebooting"`
	Reimaging           int `json:"reimaging"`
	Running             int `json:"running"`
	Starting            int `json:"starting"`
	StartTaskFailed     int `json:"startTaskFailed"`
	LeavingPool         int `json:"leavingPool"`
	Unknown             int `json:"unknown"`
	Unusable            int `json:"unusable"`
	WaitingForStartTask int `json:"waitingForStartTask"`
	// These came with later versions; no node of ours is ever in these states.
	UpgradingOS  *int `json:"upgradingOS,omitempty"`
	Deallocated  *int `json:"deallocated,omitempty"`
	Deallocating *int `json:"deallocating,omitempty"`
	Total        int  `json:"total"`
}

func countsOut(version string, by map[string]int) counts {
	c := counts{
		Creating: by["creating"], Idle: by["idle"], Offline: by["offline"], Rebooting: by["rebooting"], Reimaging: by["reimaging"],
		Running: by["running"], Starting: by["starting"], StartTaskFailed: by["starttaskfailed"], LeavingPool: by["leavingpool"],
		Unknown: by["unknown"], Unusable: by["unusable"], WaitingForStartTask: by["waitingforstarttask"],
	}
	none := new(int)
	if version >= "2024-02-01" {
		c.UpgradingOS = none
	}
	if version >= "2024-07-01" {
		c.Deallocated, c.Deallocating = none, none
	}
	for _, n := range by {
		c.Total += n
	}
	return c
}

func (d *Door) nodeCounts(r *http.Request, who identity.Caller) (rest.Reply, error) {
	version := rest.Query(r, "api-version")
	return list(r, "poolnodecounts", func(c batch.NodeCounts) nodeCountsOut {
		return nodeCountsOut{c.PoolID, countsOut(version, c.Dedicated), countsOut(version, c.LowPriority)}
	}, func(l batch.List[batch.NodeCounts]) ([]batch.NodeCounts, string, error) {
		return d.Batch.NodeCounts(r.Context(), who, account(r), l)
	})
}
