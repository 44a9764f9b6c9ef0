package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// A poll waits for what comes for any of some clients.
type poll struct {
	epoll   int
	clients []*client
	events  []syscall.EpollEvent
	ready   []*client
}

func newPoll(clients []*client) (*poll, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &poll{epoll: epoll, clients: clients, events: make([]syscall.EpollEvent, len(clients))}
	for i, c := range clients {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)} // Fd is for the caller to use
		if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, c.socket, &event); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

func (p *poll) close() error { return syscall.Close(p.epoll) }

// wait returns the clients that have something to read. It is a raw system call, for the scheduler of the runtime would look
// for other work meanwhile, and there is none.
func (p *poll) wait() ([]*client, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(patience.Milliseconds()), 0, 0)
	switch {
	case errno == syscall.EINTR:
		return nil, nil
	case errno != 0:
		return nil, os.NewSyscallError("epoll_pwait", errno)
	case n == 0:
		return nil, fmt.Errorf("no response for %s", patience)
	}
	p.ready = p.ready[:0]
	for _, event := range p.events[:n] {
		p.ready = append(p.ready, p.clients[event.Fd])
	}
	return p.ready, nil
}
