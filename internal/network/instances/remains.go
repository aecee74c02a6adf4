package instances

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/rtnl"
)

// remains are what a Hull has left that lives no more: no hulld shows life, and no Pod has a link.
type remains struct {
	id     string
	group  uint32
	routes []rtnl.Route
}

func (r remains) String() string {
	pools := make([]string, 0, len(r.routes))
	for _, route := range r.routes {
		pools = append(pools, route.Dst.String())
	}
	return fmt.Sprintf("network of Hull %s, which runs no more (%s)", r.id, strings.Join(pools, ", "))
}

// dead lists the remains of other instances, by their routes. The caller holds the lock.
func (i *Instance) dead() ([]remains, error) {
	var routes []rtnl.Route
	var links []rtnl.Link
	err := i.Host.Use(func(c *rtnl.Conn) (err error) {
		if routes, err = c.Routes(); err == nil {
			links, err = c.Links()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	found := map[uint32]*remains{}
	for _, r := range routes {
		if !IsPool(r) || i.Owns(r) {
			continue
		}
		if found[r.Metric] == nil {
			found[r.Metric] = &remains{id: fmt.Sprintf("%08x", r.Metric), group: r.Metric}
		}
		found[r.Metric].routes = append(found[r.Metric].routes, r)
	}
	for _, k := range links {
		if r := found[k.Group]; r != nil && !slices.Contains(Links(r.id), k.Name) {
			delete(found, k.Group) // its Pods live, and wait for their hulld
		}
	}
	var all []remains
	for _, group := range slices.Sorted(maps.Keys(found)) {
		alive, err := lives(found[group].id)
		if err != nil {
			return nil, err
		}
		if !alive {
			all = append(all, *found[group])
		}
	}
	return all, nil
}

// bury removes remains of another instance, and what else it has left.
func (i *Instance) bury(r remains) error {
	if i.Bury != nil {
		if err := i.Bury(r.id); err != nil {
			return err
		}
	}
	return i.Host.Use(func(c *rtnl.Conn) error { return bury(c, r) })
}

// bury removes remains: table, links, and last the routes, by which they would be found again.
func bury(c *rtnl.Conn, r remains) error {
	if err := dropTable(Table(r.id)); err != nil {
		return err
	}
	if err := c.Do(rtnl.DeleteGroup(r.group)); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	return deleteRoutes(c, r.routes)
}

func deleteRoutes(c *rtnl.Conn, routes []rtnl.Route) error {
	var errs []error
	for _, r := range routes {
		if err := c.Do(rtnl.Unreachable(unix.RTM_DELROUTE, r.Dst, r.Metric)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func dropTable(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open an nftables socket: %w", err)
	}
	t := &nftables.Table{Name: name, Family: nftables.TableFamilyINet}
	conn.AddTable(t)
	conn.DelTable(t)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove nftables table inet %s: %w", name, err)
	}
	return nil
}

// Remove removes this instance's own table, every link and the routes, of whatever pool.
func (i *Instance) Remove() error {
	return i.Host.Use(func(c *rtnl.Conn) error {
		routes, err := c.Routes()
		routes = slices.DeleteFunc(routes, func(r rtnl.Route) bool { return !i.Owns(r) })
		return errors.Join(err, bury(c, remains{i.ID, i.Group, routes}))
	})
}

// buryAll removes what other instances have left. What cannot be removed keeps nobody from anything but its pool.
func (i *Instance) buryAll() {
	all, err := i.dead()
	if err != nil {
		i.Log.Warn("what dead Hulls have left could not be found", "error", err)
	}
	for _, r := range all {
		if err := i.bury(r); err != nil {
			i.Log.Warn("what a dead Hull has left could not be removed", "what", r.String(), "error", err)
			continue
		}
		i.Log.Info("removed the " + r.String())
	}
}

// Leftover is something that nobody owns.
type Leftover struct {
	What   string
	Remove func(context.Context) error
}

// Leftovers lists what instances that live no more have left on this machine.
func (i *Instance) Leftovers() ([]Leftover, error) {
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, err := i.dead()
	if err != nil {
		return nil, fmt.Errorf("look for what dead Hulls have left: %w", err)
	}
	var list []Leftover
	for _, r := range all {
		list = append(list, Leftover{r.String(), func(context.Context) error { return i.buryStill(r.group) }})
	}
	return list, nil
}

// buryStill removes remains if they are that still.
func (i *Instance) buryStill(group uint32) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	all, err := i.dead()
	for _, r := range all {
		if err == nil && r.group == group {
			err = i.bury(r)
		}
	}
	return err
}
