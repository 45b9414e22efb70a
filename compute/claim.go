package compute

// A claim is the right to a task's directory. Who wants it next waits for done.
type claim struct {
	key    TaskDir
	before *claim
	done   chan struct{}
}

// claim queues up for a directory; a.mu is held.
func (a *agent) claim(key TaskDir) *claim {
	c := &claim{key: key, before: a.dirs[key], done: make(chan struct{})}
	a.dirs[key] = c
	return c
}

// wait returns when the directory is the claimant's own.
func (c *claim) wait() {
	if c.before != nil {
		<-c.before.done
		c.before = nil
	}
}

// release gives a directory to the next in line.
func (a *agent) release(c *claim) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dirs[c.key] == c {
		delete(a.dirs, c.key)
	}
	close(c.done)
}
