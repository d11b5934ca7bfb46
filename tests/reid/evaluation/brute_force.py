"""An evaluator written out in loops, from the protocols' definitions: what the vectorised one is compared with."""


def ranked(distances, out):
    """Gallery crops by distance, the earlier first where equal, without those in `out`."""
    return [g for _, g in sorted((d, g) for g, d in enumerate(distances) if g not in out)]


def left_out(query, gallery, q, protocol):
    out = set()
    for g in range(len(gallery)):
        same_person = gallery.identities[g] == query.identities[q]
        same_camera = gallery.cameras[g] == query.cameras[q]
        same_tracklet = gallery.tracklets[g] == query.tracklets[q] >= 0
        if gallery.identities[g] == -1:
            out.add(g)
        if protocol in ("market", "flight", "single-shot", "strict") and same_person and same_camera:
            out.add(g)
        if protocol in ("tracklet", "strict") and same_tracklet:
            out.add(g)
    return out


def rate(order, gallery, identity):
    """Step AP, trapezoid AP, the first hit's rank, INP and number of right answers; None without any."""
    hits, ranks, step, trapezoid, precision = 0, [], 0.0, 0.0, 1.0
    for rank, g in enumerate(order, start=1):
        before = precision
        if identity > 0 and gallery.identities[g] == identity:
            hits += 1
            ranks.append(rank)
            step += hits / rank
            trapezoid += (before + hits / rank) / 2
        precision = hits / rank
    if not hits:
        return None
    return step / hits, trapezoid / hits, ranks[0], hits / ranks[-1], hits


def evaluate(distances, query, gallery, protocol):
    """Each query's rating."""
    return [
        rate(ranked(distances[q], left_out(query, gallery, q, protocol)), gallery, query.identities[q])
        for q in range(len(query))
    ]
