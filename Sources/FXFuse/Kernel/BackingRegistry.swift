internal import CFuse3
internal import FXSystem
internal import Synchronization

/// Registers backing files with the kernel for passthrough, where the mount has it.
final class BackingRegistry: Sendable {
    private struct Connection {
        var device: Int32
        var negotiation: PassthroughWire.Negotiation
    }

    private let connection = Mutex<Connection?>(nil)

    /// Called once, when the session is mounted.
    func connect(device: Int32, negotiation: PassthroughWire.Negotiation) {
        connection.withLock { $0 = Connection(device: device, negotiation: negotiation) }
    }

    /// An id for the open file, or nil where the kernel will not: a backing file system that is itself FUSE or stacked
    /// too deeply, no privilege, an old kernel.
    func register(_ descriptor: borrowing OwnedDescriptor) -> BackingID? {
        guard let device = device else { return nil }
        let id = fx_backing_open(device, descriptor.rawValue)
        return id > 0 ? BackingID(rawValue: id) : nil
    }

    func unregister(_ id: BackingID) {
        guard let device = device else { return }
        _ = fx_backing_close(device, UInt32(bitPattern: id.rawValue))
    }

    private var device: Int32? {
        connection.withLock { connection in
            guard let connection, connection.negotiation.isOn else { return nil }
            return connection.device
        }
    }
}

/// How the kernel does the I/O of one inode while it is open: one mode for all its handles (fs/fuse/iomode.c).
///
/// While one handle is in passthrough mode, every other must carry the same backing id, and while one uses the page
/// cache, none may be in passthrough mode; the kernel answers EIO otherwise.
final class InodeMode: Sendable {
    private struct State {
        var backing: BackingID?
        var handles = 0
    }

    private let state = Mutex(State())

    /// What one handle was given.
    enum Grant: Sendable {
        case passthrough(BackingID)
        case cached
    }

    /// Counts a handle; registers the file if the inode is free for passthrough and `wanted`.
    func enter(wanted: Bool, _ descriptor: borrowing OwnedDescriptor, _ registry: BackingRegistry) -> Grant {
        if let grant = join() { return grant }
        // Outside of the lock: registering is a system call. Whoever is first wins.
        let made = wanted ? registry.register(descriptor) : nil
        let (grant, surplus) = state.withLock { state -> (Grant, BackingID?) in
            state.handles += 1
            if state.handles > 1 { return (state.backing.map { .passthrough($0) } ?? .cached, made) }
            state.backing = made
            return (made.map { .passthrough($0) } ?? .cached, nil)
        }
        if let surplus { registry.unregister(surplus) }
        return grant
    }

    /// The id every handle must carry at the moment, without counting one.
    var present: BackingID? { state.withLock { $0.backing } }

    func leave(_ registry: BackingRegistry) {
        let unused = state.withLock { state -> BackingID? in
            state.handles -= 1
            guard state.handles == 0 else { return nil }
            defer { state.backing = nil }
            return state.backing
        }
        if let unused { registry.unregister(unused) }
    }

    private func join() -> Grant? {
        state.withLock { state in
            guard state.handles > 0 else { return nil }
            state.handles += 1
            return state.backing.map { .passthrough($0) } ?? .cached
        }
    }
}
