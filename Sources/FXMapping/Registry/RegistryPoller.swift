internal import FXSystem
internal import Synchronization

/// The contents seen last, for lock-only reading; they only go forward.
final class CurrentContents: Sendable {
    private let state: Mutex<RegistryContents>

    init(_ contents: RegistryContents) { state = Mutex(contents) }

    var contents: RegistryContents { state.withLock { $0 } }

    /// Keeps the newer of the two; true when that is `contents`.
    func install(_ contents: RegistryContents) -> Bool {
        state.withLock { current in
            // Two threads may have read in one order and arrive in the other.
            guard contents.generation > current.generation else { return false }
            current = contents
            return true
        }
    }
}

/// One thread that looks for changes of the database and tells of them.
final class RegistryPoller: Sendable {
    private struct Signals {
        var isStopping = false
        var isWoken = false
    }

    private let signals = Monitor(Signals())
    private let thread: Mutex<ServiceThread?>

    init(
        watcher: RegistryWatcher, current: CurrentContents, interval: Duration,
        onChange: @escaping @Sendable (RegistrySnapshot) -> Void
    ) throws(MappingError) {
        let signals = signals
        let told = current.contents
        do {
            let started = try ServiceThread(name: "fx-mappings") {
                Self.run(
                    watcher: watcher, current: current, told: told, interval: interval, signals: signals,
                    onChange: onChange)
            }
            thread = Mutex(started)
        } catch {
            throw .system(error)
        }
    }

    /// Makes the thread look now.
    func wake() { signals.withLock { $0.isWoken = true } }

    /// Ends the thread and waits for it.
    func stop() {
        signals.withLock { $0.isStopping = true }
        let running = thread.withLock { slot -> ServiceThread? in
            var taken: ServiceThread?
            swap(&taken, &slot)
            return taken
        }
        if let running { running.join() }
    }

    private static func run(
        watcher: RegistryWatcher, current: CurrentContents, told: RegistryContents, interval: Duration,
        signals: Monitor<Signals>, onChange: @Sendable (RegistrySnapshot) -> Void
    ) {
        var told = told
        var seen: Int64?
        while true {
            // A database that cannot be read now is asked again at the next turn; until then the last snapshot holds.
            if let version = try? watcher.dataVersion(), version != seen, let contents = try? watcher.contents() {
                seen = version
                _ = current.install(contents)
            }
            let latest = current.contents
            for application in Set(told.snapshots.keys).union(latest.snapshots.keys) {
                let snapshot = latest.snapshot(of: application)
                if !snapshot.showsTheSame(as: told.snapshot(of: application)) { onChange(snapshot) }
            }
            told = latest
            let isStopping = signals.wait(until: .after(interval)) { signals -> Bool? in
                if signals.isStopping { return true }
                guard signals.isWoken else { return nil }
                signals.isWoken = false
                return false
            }
            if isStopping == true { return }
        }
    }
}
