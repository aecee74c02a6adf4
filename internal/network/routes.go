package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// poolRoutes are the routes that hold a pool together, to be added or deleted: what is sent to an address that no Pod has
// is refused here and not sent to the outside, and others who look for a free range see this one as taken.
func poolRoutes(typ uint16, p *addresses.Pool) []rtnl.Message {
	var msgs []rtnl.Message
	for _, prefix := range []netip.Prefix{p.V4, p.V6} {
		if !prefix.IsValid() {
			continue
		}
		rt := nl.NewRtMsg()
		rt.Family, rt.Dst_len = uint8(rtnl.Family(prefix.Addr())), uint8(prefix.Bits())
		rt.Protocol, rt.Type, rt.Scope = unix.RTPROT_STATIC, unix.RTN_UNREACHABLE, unix.RT_SCOPE_UNIVERSE
		flags, verb := uint16(rtnl.Create), "add"
		if typ == unix.RTM_DELROUTE {
			flags, verb = 0, "delete"
		}
		body := []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, prefix.Addr().AsSlice())}
		msgs = append(msgs, rtnl.New(typ, flags, body, "%s unreachable route %s", verb, prefix))
	}
	return msgs
}

// chosenPool is the pool of last time, or a new choice.
func chosenPool(dir string, log *slog.Logger, choose func() (netip.Prefix, error)) (netip.Prefix, error) {
	var chosen struct {
		Version int          `json:"version"`
		IPv4    netip.Prefix `json:"ipv4"`
	}
	path := filepath.Join(dir, "pool.json")
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &chosen)
	}
	if err == nil && chosen.Version == leaseVersion && chosen.IPv4.IsValid() {
		return chosen.IPv4, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the pool chosen earlier cannot be read: choosing anew", "file", path, "error", err)
	}
	chosen.Version = leaseVersion
	if chosen.IPv4, err = choose(); err != nil {
		return netip.Prefix{}, err
	}
	if b, err = json.Marshal(chosen); err == nil {
		err = replaceFile(path, append(b, '\n'))
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("write the chosen pool: %w", err)
	}
	return chosen.IPv4, nil
}
