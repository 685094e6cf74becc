// Package handover carries what one process hands over to the next: descriptors and state, over a unix
// socket between the two, so that a new binary takes the place of a running one without a client noticing.
//
// The giver is the process that serves, the taker the one that will. What they say to each other, in this
// order, is the whole protocol:
//
//	taker → giver   hello      who it is, and the version that it speaks
//	giver → taker   offer      its listening sockets; the taker binds nothing that is among them
//	taker → giver   prepared   it could start, and which sockets it uses; the giver stops receiving
//	giver → taker   sections   state, and sockets of sessions; as many as there are, and then the end
//	taker → giver   ready      it has understood them
//	giver → taker   go         from here on it serves
//	taker → giver   serving    the giver drains, and ends
//
// Either says refusal in the place of any of these, with the reason, and everything is as it was. A peer
// that is gone without a word is [ErrGone]. A giver that meets it goes on to serve; a taker whose giver is
// dead, [Taking.GiverDead], has the sockets, and the clients that wait in their queues, and goes on with
// what it has.
//
// Sockets are shared by both until one closes them, and what waits in them is lost only if both do: so
// nothing is closed before the other has said that it serves.
//
// A [Conn] frames messages; [Giving] and [Taking] are the two sides. Each is used by one goroutine. A
// descriptor that is received belongs to whoever received it; one that is sent stays with its sender.
// Nothing here knows what the sections mean.
package handover
