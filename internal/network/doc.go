// Package network gives a sandbox its interface, addresses, host ports and name files.
//
// # What a Pod's network is
//
// A routed veth, no bridge. The Pod's end is eth0 with one /32 and one /128; the host's end carries a route for exactly
// these two. No subnet exists anywhere, so nothing is flooded and nothing is asked for by ARP: each side has the other
// as a permanent neighbour.
//
//	Pod                                                     host
//	eth0  10.88.0.5/32  fdab::5/128                         hull1a2b9f86d08   group = instance
//	default via 169.254.1.1 onlink   ── veth ──►            10.88.0.5 dev hull1a2b9f86d08 src 10.88.0.1
//	default via fe80::… onlink                              fdab::5   dev hull1a2b9f86d08 src fdab::1
//
//	                                                        hull1a2b3c4d      10.88.0.1/32  fdab::1/128
//	                                                        unreachable 10.88.0.0/16, fdab::/64   metric = instance
//
// Both gateways are nobody's addresses: neighbour entries name the host's end. The host speaks to its Pods from the first
// address of each pool, which is on a link of its own that leads nowhere: so it has one even when it has no other network,
// and Pods always see the same. The unreachable routes refuse what is sent to an address that no Pod has. A host
// end has no route for IPv6 multicast either: rtnl.DropMulticast says why.
//
// The device group of every link is the instance read as a number: it is set by the very message that makes the link, so
// a link is never without an owner; it is what the nftables rules match, and one message removes a group. The alias says
// the rest: instance, sandbox ID and addresses. Every route on the host carries protocol 72, which is Hull's, and those that
// are on no link, the unreachable ones, the instance as metric (package instances).
//
// # Deciding and doing
//
// What is to be done is decided first, as a list of netlink messages (plan.go) and a list of nftables objects
// (ruleset.go), both pure and compared with golden files; rtnl.go and forward.go carry them out. Nothing is executed, and
// nothing on the way of a Pod's start looks through all links, routes or rules.
//
// # What is changed on the host
//
// Beside links, their routes and one nftables table of our own (inet hull_INSTANCE), these settings, which stay when
// Hull is gone because by then others may rely on them:
//
//	net.ipv4.ip_forward = 1
//	net.ipv6.conf.all.forwarding = 1
//	net.ipv6.conf.IFACE.accept_ra = 2    where it was 1 and the interface did not forward: it would stop listening to its router
//
// and on host ends alone, by netlink: forwarding, and route_localnet where the Pod has host ports, so that 127.0.0.1
// reaches them. Pods cannot use that to reach the host's loopback: the guard chain drops it.
//
// # What lies in StateDir
//
//	pool.json            the pools that were chosen, when none were given
//	leases.log           each sandbox's addresses and host ports, written before anything of them is made in the kernel
package network
