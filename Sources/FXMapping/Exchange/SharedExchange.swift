public import FXSystem
internal import Glibc
internal import Synchronization

/// What the exchanges of all applications of one process have in common.
public final class SharedExchange: Sendable {
    public let registry: TypeRegistry
    public let gate: SharedGate
    public let settings: ExchangeSettings
    public let transfers: TransferBoard
    let chooser: any DirectoryChooser
    let notices: any TransferNotices

    /// - Parameters:
    ///   - gate: one for the whole process; the mount's own where there is one in it.
    ///   - chooser: asks for directories; `NobodyToAsk` where there is nobody.
    public init(
        registry: TypeRegistry, gate: SharedGate, chooser: any DirectoryChooser = NobodyToAsk(),
        notices: any TransferNotices = NoNotices(), settings: ExchangeSettings,
        transfers: TransferBoard = TransferBoard()
    ) {
        self.registry = registry
        self.gate = gate
        self.chooser = chooser
        self.notices = notices
        self.settings = settings
        self.transfers = transfers
    }

    /// The API as one application sees it.
    public func exchange(for application: ApplicationID) -> FileExchange { FileExchange(application, self) }
}

/// What an exchange is told once.
public struct ExchangeSettings: Sendable {
    /// Where a chooser opens when there is nothing better; absolute.
    public var home: String
    /// The policy of types that are made.
    public var defaultPolicy: Policy
    /// How long a question waits when its call does not say; nil waits without end.
    public var promptTimeout: Duration?
    /// Directories no type may overlap with: the mounts of this program.
    public var reserved: @Sendable () -> [ReservedDirectory]
    /// Where the bytes of a download wait whose type is not known yet; absolute, ours alone.
    public var spoolDirectory: String
    /// Whose files they are; this process's own user.
    public var caller: Caller

    public init(
        home: String, spoolDirectory: String, defaultPolicy: Policy = .keepVersions, promptTimeout: Duration? = nil,
        reserved: @escaping @Sendable () -> [ReservedDirectory] = { [] }, caller: Caller = .ownProcess
    ) {
        self.home = home
        self.spoolDirectory = spoolDirectory
        self.defaultPolicy = defaultPolicy
        self.promptTimeout = promptTimeout
        self.reserved = reserved
        self.caller = caller
    }
}

extension Caller {
    /// This process itself, whose calls nobody else waits for.
    public static let ownProcess = Caller(uid: geteuid(), gid: getegid(), thread: 0, umask: ownUmask())
}

/// The umask without setting it, which would be seen by other threads (proc_pid_status(5), Linux 4.7).
private func ownUmask() -> UInt32 {
    guard let file = try? OwnedDescriptor.open(absolute: "/proc/self/status", .readOnly),
        let bytes = try? file.read(4096, at: 0)
    else { return 0o077 }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("Umask:") {
        return UInt32(line.dropFirst(6).drop { $0 == "\t" || $0 == " " }, radix: 8) ?? 0o077
    }
    return 0o077
}
