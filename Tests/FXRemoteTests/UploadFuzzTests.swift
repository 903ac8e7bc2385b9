import FXSystem
import Testing

@testable import FXRemote

/// The upload machine against a model of a writer, a service and a network that do what they like.
@Suite struct UploadFuzzTests {
    @Test func `every byte arrives, no commit has a hole, and nothing is sent that is not there`() {
        for seed in seeds(400) {
            var model = Model(seed: seed)
            if let fault = model.play() {
                Issue.record("FXMOUNT_SEED=\(seed): \(fault)")
                return
            }
        }
    }

    private struct Model {
        var random: SeededGenerator
        let terms: UploadTerms
        var machine: UploadMachine
        var growth: DraftGrowth
        var file: [UInt8] = []
        /// Actions under way, with the bytes as they were when each began.
        var underWay: [(action: UploadMachine.Action, bytes: [UInt8])] = []
        var service: [String: [UInt64: [UInt8]]] = [:]
        var visible: [UInt8]?
        var notes = 0
        var isSealed = false
        var log: [String] = []

        init(seed: UInt64) {
            random = SeededGenerator(seed)
            var facts = BackendFacts()
            facts.preferredChunk = ByteCount(UInt64(1 + random.below(8)))
            if random.below(2) == 0 { facts.chunksBeforeDoubling = UInt64(1 + random.below(4)) }
            facts.parallelChunks = 1 + random.below(4)
            facts.uploadsWhileWriting = random.below(4) > 0
            terms = UploadTerms(
                facts: facts, retry: RetryPolicy(initial: .milliseconds(1), maximum: .milliseconds(4)), connections: 8)
            machine = UploadMachine(terms: terms)
            growth = DraftGrowth(terms)
        }

        /// What went wrong, if anything did.
        mutating func play() -> String? {
            var changesLeft = 5 + random.below(60)
            for step in 0..<20_000 {
                if !isSealed {
                    if random.below(3) == 0 || underWay.isEmpty {
                        if changesLeft == 0 {
                            isSealed = true
                            if let fault = accept(machine.handle(.sealed(size: UInt64(file.count)))) { return fault }
                        } else {
                            changesLeft -= 1
                            if let fault = change() { return fault }
                        }
                    }
                }
                if machine.isIdle, underWay.isEmpty, isSealed || growth.isLarge && random.below(3) == 0 {
                    if let fault = accept(machine.handle(.start)) { return fault }
                }
                if isSealed, random.below(300) == 0 { restart() }
                if !underWay.isEmpty, let fault = report() { return fault }
                if visible != nil {
                    return visible == file ? nil : "step \(step): \(visible ?? []) instead of \(file)"
                }
            }
            return "no end; \(log.suffix(20))"
        }

        private mutating func change() -> String? {
            var actions: [UploadMachine.Action] = []
            if random.below(12) == 0 {
                let size = random.below(file.count + 1)
                file.removeLast(file.count - size)
                growth.cut(to: UInt64(size))
                actions = machine.handle(.cut(to: UInt64(size)))
            } else {
                let offset = random.below(5) == 0 ? random.below(file.count + 1) : file.count
                let bytes = (0..<1 + random.below(9)).map { _ in UInt8(random.below(256)) }
                for (index, byte) in bytes.enumerated() {
                    if offset + index < file.count { file[offset + index] = byte } else { file.append(byte) }
                }
                // Anything may happen between the bytes and the word of them.
                if random.below(2) == 0, !underWay.isEmpty, let fault = report() { return fault }
                let range = UInt64(offset)..<UInt64(offset + bytes.count)
                if range.lowerBound < machine.sentEnd { actions += machine.handle(.changed(range)) }
                if growth.note(range, chunk: { terms.facts.chunk(at: $0).range }) {
                    actions += machine.handle(.grown(to: growth.end))
                }
            }
            return accept(actions)
        }

        private mutating func accept(_ actions: [UploadMachine.Action]) -> String? {
            for action in actions {
                log.append("\(action)")
                switch action {
                case .send(let range):
                    if range.upperBound > file.count || range.isEmpty { return "sent \(range) of \(file.count)" }
                    let chunk = terms.facts.chunk(at: range.lowerBound).range
                    if !isSealed, range.upperBound != chunk.upperBound { return "sent a piece \(range)" }
                    let others = underWay.compactMap { if case .send(let other) = $0.action { other } else { nil } }
                    if others.contains(where: { $0.overlaps(range) }) { return "\(range) twice at once" }
                    if others.count >= terms.parallelChunks { return "more than \(terms.parallelChunks) under way" }
                case .commit:
                    if !isSealed || underWay.contains(where: { if case .send = $0.action { true } else { false } }) {
                        return "commit too early"
                    }
                case .retry, .abandon: continue
                case .finish: visible = visible ?? []; continue
                case .fail(let error): return "failed with \(error); \(log.suffix(20))"
                default: break
                }
                underWay.append((action, file))
            }
            return nil
        }

        /// Carries one action out, or not, and reports it, truly or not.
        private mutating func report() -> String? {
            let (action, bytes) = underWay.remove(at: random.below(underWay.count))
            let dice = random.below(12)
            if dice == 0 { return accept(fail(action)) }
            let event = perform(action, bytes)
            if dice == 1 { return accept(fail(action)) }
            log.append("  \(event)")
            return accept(machine.handle(event))
        }

        private mutating func fail(_ action: UploadMachine.Action) -> [UploadMachine.Action] {
            switch action {
            case .send(let range): return machine.handle(.notSent(range, .timedOut, random: 0))
            case .wait(let range, _): return machine.handle(.due(range))
            case .recordIntent: return machine.handle(.recorded)
            default: return machine.handle(.failed(.timedOut, random: 0))
            }
        }

        private mutating func perform(_ action: UploadMachine.Action, _ before: [UInt8]) -> UploadMachine.Event {
            let note = machine.note ?? "none"
            // A sweep of old uploads.
            if random.below(200) == 0 { service = [:] }
            switch action {
            case .recordIntent: return .recorded
            case .reconcile:
                if let visible, visible == file { return .reconciled(.committed(done)) }
                guard let parts = service[note] else { return .reconciled(.nothing) }
                return .reconciled(.partial(ByteRanges(parts.map { $0.key..<$0.key + UInt64($0.value.count) })))
            case .begin:
                if machine.note != nil {
                    return service[note] == nil ? .failed(.expired, random: 0) : .begun(note: nil)
                }
                notes += 1
                service["n\(notes)"] = [:]
                return .begun(note: "n\(notes)")
            case .send(let range):
                guard service[note] != nil else { return .notSent(range, .expired, random: 0) }
                // The bytes may be read before or after a change, each for itself.
                let chunk = (Int(range.lowerBound)..<Int(range.upperBound)).map { index -> UInt8 in
                    if index < before.count, random.below(2) == 0 { return before[index] }
                    return index < file.count ? file[index] : 0
                }
                if terms.isInOrder {
                    let old = service[note]?[0] ?? []
                    service[note]?[0] = Array(old.prefix(Int(range.lowerBound))) + chunk
                } else {
                    service[note]?[range.lowerBound] = chunk
                }
                return .sent(range)
            case .wait(let range, _): return .due(range)
            case .discard:
                service[note] = nil
                return .discarded
            case .commit:
                guard let parts = service[note] else { return .failed(.expired, random: 0) }
                var whole: [UInt8] = []
                while whole.count < file.count, let part = parts[UInt64(whole.count)] { whole += part }
                service[note] = nil
                visible = whole
                return .committed(done)
            case .adopt, .finish, .retry, .fail, .abandon: return .failed(.interrupted, random: 0)
            }
        }

        private var done: CommittedFile { CommittedFile(remoteID: "r", size: ByteCount(UInt64(file.count))) }

        /// kill -9 and a new start: the journal has what the machine knew when the file was sealed, or since.
        private mutating func restart() {
            underWay = []
            let row = RevisionRow(
                id: RevisionID(1), entry: EntryID(2), state: .queued, upload: UploadID("u"),
                size: ByteCount(UInt64(file.count)), sha256: nil, sealed: nil, modified: Timestamp(seconds: 0),
                isKnownToService: true, acknowledged: machine.held, stale: machine.stale, note: machine.note,
                attempts: 0, error: nil)
            machine = UploadMachine(terms: terms, row: row)
        }
    }

    // MARK: - The gate and the queue

    @Test func `while a service does not answer one tries, and the others follow when it does`() {
        var queue = WorkQueue<Int>()
        let now = ContinuousDeadline.now()
        for job in 0..<3 { queue.add(job) }
        #expect(queue.next(at: now).job == 0)
        queue.gate.note(.pauses(.seconds(1)), now: now, wait: { .after($0) })
        queue.add(0, at: .after(.seconds(2)))
        #expect(queue.next(at: now).job == nil)
        let later = ContinuousDeadline.after(.seconds(5))
        #expect(queue.next(at: later).job == 0)
        #expect(queue.next(at: later).job == nil)
        queue.gate.note(.works, now: later, wait: { .after($0) })
        #expect(queue.next(at: later).job == 1)
        #expect(queue.next(at: later).job == 2)
    }

    @Test func `credentials that were refused are not shown again until a person says so`() {
        var queue = WorkQueue<Int>()
        let now = ContinuousDeadline.now()
        for job in 0..<3 { queue.add(job) }
        #expect(queue.next(at: now).job == 0)
        queue.gate.note(.refuses(.credentials), now: now, wait: { .after($0) })
        guard case .refuse(1, .credentials) = queue.next(at: now) else {
            Issue.record("not refused")
            return
        }
        queue.hurry()
        #expect(queue.next(at: now).job == 2)
    }

    @Test func `steps of uploads under way and new uploads take turns`() {
        var queue = WorkQueue<String>()
        for number in 0..<3 {
            queue.add("file \(number)")
            queue.addStep("chunk \(number)")
        }
        let order = (0..<6).compactMap { _ in queue.next(at: .now()).job }
        #expect(order == ["chunk 0", "file 0", "chunk 1", "file 1", "chunk 2", "file 2"])
    }
}

extension WorkQueue.Turn {
    fileprivate var job: Job? { if case .work(let job) = self { job } else { nil } }
}
