internal import FXFuse
internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import Glibc
internal import Synchronization

/// The content of `.fxmount`: documented in docs/cli.md, made anew at each open.
final class LiveState: Sendable {
    private struct Served {
        weak var mount: FuseMount?
        weak var tree: RootTree?
    }

    private let plan: MountPlan
    private let transfers: TransferService
    private let registry: TypeRegistry
    private let events: EventLog
    private let started = WallClock.system.now()
    private let served = Mutex(Served())

    init(plan: MountPlan, transfers: TransferService, registry: TypeRegistry, events: EventLog) {
        self.plan = plan
        self.transfers = transfers
        self.registry = registry
        self.events = events
    }

    /// Tells what is served, once it is.
    func attach(_ mount: FuseMount, _ tree: RootTree) {
        served.withLock { $0 = Served(mount: mount, tree: tree) }
    }

    func files() throws(NameError) -> [ControlFile] {
        [
            ControlFile(name: try Name("status.json")) { self.status.text + "\n" },
            ControlFile(name: try Name("transfers.jsonl")) { self.transfers.transfersJSONLines },
            ControlFile(name: try Name("orphans.jsonl")) { self.transfers.orphansJSONLines },
            ControlFile(name: try Name("events.jsonl")) { LiveState.lines(self.events.recent.map(\.json)) },
            ControlFile(name: try Name("limits.json")) {
                JSONValue.object([.init("remotes", self.transfers.limitsJSON)]).text + "\n"
            },
            ControlFile(name: try Name("metrics")) { self.metrics },
        ]
    }

    private static func lines(_ values: [JSONValue]) -> String { values.map { $0.text + "\n" }.joined() }

    private var parts: (mount: FuseMount?, tree: RootTree?) { served.withLock { ($0.mount, $0.tree) } }

    private var status: JSONValue {
        let (mount, tree) = parts
        let types = registry.snapshot(of: plan.application).types
        return [
            "version": .string(fxmountVersion), "pid": .integer(Int64(getpid())),
            "mountpoint": .string(plan.mountpoint),
            "application": .string(plan.application.text), "state_directory": .string(plan.stateDirectory),
            "started": .time(started), "read_only": .bool(plan.kernel.isReadOnly),
            "passthrough": .bool(mount?.hasPassthrough ?? false),
            "types": .object([
                .init("count", .integer(Int64(types.count))),
                .init("mapped", .integer(Int64(types.count { $0.status == .mapped }))),
                .init("active_files", .integer(Int64(tree?.activeFiles ?? 0))),
            ]),
            "cache": transfers.cacheJSON ?? .null, "remotes": transfers.statusJSON,
        ]
    }

    private var metrics: String {
        let (mount, tree) = parts
        func gauge(_ name: String, _ value: Int) -> String { "# TYPE \(name) gauge\n\(name) \(value)\n" }
        return gauge("fxmount_inodes", mount?.inodeCount ?? 0) + gauge("fxmount_active_files", tree?.activeFiles ?? 0)
            + gauge("fxmount_types", registry.snapshot(of: plan.application).types.count)
            + "# TYPE fxmount_events_total counter\nfxmount_events_total \(events.total)\n" + transfers.metrics
    }
}
