// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/committee.h"

#include "core/error.h"

#include <ATen/ATen.h>

#include <cmath>

namespace egraff {

namespace {

std::string list(const std::vector<std::string> &names) {
    std::string text;
    for (const std::string &name : names) {
        text += (text.empty() ? "" : " ") + name;
    }
    return text;
}

} // namespace

void check_alike(const std::vector<std::unique_ptr<Model>> &members) {
    const Model &first = *members.front();
    for (const auto &member : members) {
        const auto refuse = [&](const std::string &expected, const std::string &got) {
            throw Error("expected " + expected + " as in " + first.path() +
                            ", the first member of the committee, got " + got,
                        {"pair_coeff", member->path()},
                        "train all members with the same elements, cutoffs and dtype");
        };
        const Metadata &theirs = member->metadata(), &ours = first.metadata();
        if (theirs.elements != ours.elements) {
            refuse("the elements " + list(ours.elements), list(theirs.elements));
        }
        if (theirs.r_max != ours.r_max || theirs.pair_cutoffs != ours.pair_cutoffs) {
            refuse("the cutoffs (largest " + std::to_string(ours.r_max) + ")",
                   "other cutoffs (largest " + std::to_string(theirs.r_max) + ")");
        }
        if (theirs.float64 != ours.float64) {
            refuse(ours.dtype(), theirs.dtype());
        }
    }
}

Evaluation mean(const std::vector<Evaluation> &members) {
    if (members.size() == 1) {
        return members.front();
    }
    const double weight = 1.0 / double(members.size());
    const auto mean_of = [&](const auto &tensor_of) {
        at::Tensor sum = tensor_of(members.front()).clone();
        for (size_t k = 1; k < members.size(); ++k) {
            sum += tensor_of(members[k]);
        }
        return sum.mul_(weight);
    };
    Evaluation result;
    result.energy = 0.0;
    for (const Evaluation &member : members) {
        result.energy += weight * member.energy;
    }
    result.atomic_energy = mean_of([](const Evaluation &e) { return e.atomic_energy; });
    result.edge_gradient = mean_of([](const Evaluation &e) { return e.edge_gradient; });
    for (const auto &entry : members.front().extras) {
        const std::string &name = entry.first;
        result.extras[name] = mean_of([&](const Evaluation &e) { return e.extras.at(name); });
    }
    return result;
}

std::vector<double> force_deviation(const std::vector<std::vector<double>> &forces_of_members) {
    const double weight = 1.0 / double(forces_of_members.size());
    std::vector<double> squares(forces_of_members.front().size() / 3, 0.0);
    for (size_t k = 0; k < 3 * squares.size(); ++k) {
        double average = 0.0;
        for (const auto &forces : forces_of_members) {
            average += weight * forces[k];
        }
        for (const auto &forces : forces_of_members) {
            squares[k / 3] += weight * (forces[k] - average) * (forces[k] - average);
        }
    }
    for (double &square : squares) {
        square = std::sqrt(square);
    }
    return squares;
}

} // namespace egraff
