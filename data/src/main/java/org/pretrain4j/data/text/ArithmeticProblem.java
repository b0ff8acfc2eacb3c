package org.pretrain4j.data.text;

import org.pretrain4j.data.random.SplitMix64;

/** Writes one problem with its steps. Plain ASCII. */
final class ArithmeticProblem {
  private static final String[] NAMES = {
    "Ada", "Ben", "Chen", "Dina", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun", "Kira", "Luis"
  };
  private static final String[] THINGS = {
    "apples", "books", "coins", "stamps", "pencils", "marbles", "tickets", "shells"
  };
  private static final String[] ASK = {"Compute", "Calculate", "Find", "What is", "Work out"};

  private final SplitMix64 random;
  private final StringBuilder out = new StringBuilder(256);

  private ArithmeticProblem(SplitMix64 random) {
    this.random = random;
  }

  static String write(long seed, long index) {
    return new ArithmeticProblem(SplitMix64.of(seed, index)).write();
  }

  private String write() {
    problem();
    if (random.nextInt(5) < 2) {
      out.append('\n');
      problem();
    }
    return out.toString();
  }

  private void problem() {
    switch (random.nextInt(12)) {
      case 0 -> addition();
      case 1 -> subtraction();
      case 2 -> multiplication();
      case 3 -> division();
      case 4 -> fractions();
      case 5 -> linearEquation();
      case 6 -> twoEquations();
      case 7 -> quadratic();
      case 8 -> percentage();
      case 9 -> sequence();
      case 10 -> commonDivisor();
      default -> story();
    }
  }

  private ArithmeticProblem line(Object... parts) {
    for (Object part : parts) {
      out.append(part);
    }
    out.append('\n');
    return this;
  }

  private String ask() {
    return ASK[random.nextInt(ASK.length)] + " ";
  }

  private void addition() {
    int a = random.between(100, 9999);
    int b = random.between(100, 9999);
    line(ask(), a, " + ", b, ".");
    int carry = 0;
    int x = a;
    int y = b;
    for (String place : new String[] {"ones", "tens", "hundreds", "thousands"}) {
      int sum = x % 10 + y % 10 + carry;
      String carried = carry > 0 ? " + " + carry : "";
      line(place, ": ", x % 10, " + ", y % 10, carried, " = ", sum);
      carry = sum / 10;
      x /= 10;
      y /= 10;
    }
    line("So ", a, " + ", b, " = ", a + b, ".");
  }

  private void subtraction() {
    int b = random.between(10, 4999);
    int a = b + random.between(1, 5000);
    int round = (b / 100 + 1) * 100;
    line(ask(), a, " - ", b, ".");
    line("Go up from ", b, " to ", round, ": that is ", round - b, ".");
    line("From ", round, " to ", a, ": that is ", a - round, ".");
    line(round - b, " + ", a - round, " = ", a - b, ".");
    line("So ", a, " - ", b, " = ", a - b, ".");
  }

  private void multiplication() {
    int a = random.between(12, 999);
    int b = random.between(12, 99);
    int tens = b / 10 * 10;
    line(ask(), a, " * ", b, ".");
    line(b, " = ", tens, " + ", b % 10, ".");
    line(a, " * ", tens, " = ", a * tens, ".");
    line(a, " * ", b % 10, " = ", a * (b % 10), ".");
    line(a * tens, " + ", a * (b % 10), " = ", a * b, ".");
    line("So ", a, " * ", b, " = ", a * b, ".");
  }

  private void division() {
    int b = random.between(3, 25);
    int a = random.between(b + 1, 2000);
    line("Divide ", a, " by ", b, " with remainder.");
    line(
        b,
        " * ",
        a / b,
        " = ",
        a / b * b,
        " and ",
        b,
        " * ",
        a / b + 1,
        " = ",
        (a / b + 1) * b,
        ".");
    line(a, " - ", a / b * b, " = ", a % b, ", which is less than ", b, ".");
    line("So ", a, " = ", b, " * ", a / b, " + ", a % b, ".");
  }

  private void fractions() {
    int b = random.between(2, 12);
    int d = random.between(2, 12);
    int a = random.between(1, b);
    int c = random.between(1, d);
    int top = a * d + c * b;
    int bottom = b * d;
    int divisor = greatestCommonDivisor(top, bottom);
    line("Add ", a, "/", b, " and ", c, "/", d, ".");
    line("A common denominator is ", b, " * ", d, " = ", bottom, ".");
    line(a, "/", b, " = ", a * d, "/", bottom, " and ", c, "/", d, " = ", c * b, "/", bottom, ".");
    line("The sum is ", top, "/", bottom, ".");
    if (divisor > 1) {
      line("Divide both by ", divisor, ": ", top / divisor, "/", bottom / divisor, ".");
    }
  }

  private void linearEquation() {
    int a = random.between(2, 15);
    int x = random.between(-20, 20);
    int b = random.between(1, 60);
    int right = a * x + b;
    line("Solve ", a, "x + ", b, " = ", right, ".");
    line("Subtract ", b, " from both sides: ", a, "x = ", right - b, ".");
    line("Divide both sides by ", a, ": x = ", x, ".");
    line("Check: ", a, " * ", number(x), " + ", b, " = ", right, ".");
  }

  private void twoEquations() {
    int x = random.between(-12, 12);
    int y = random.between(-12, 12);
    int a = random.between(2, 9);
    line("Solve x + y = ", x + y, " and ", a, "x - y = ", a * x - y, ".");
    line("Add the equations: ", a + 1, "x = ", (a + 1) * x, ".");
    line("So x = ", x, ".");
    line("Then y = ", x + y, " - ", number(x), " = ", y, ".");
  }

  private void quadratic() {
    int p = random.between(1, 12);
    int q = random.between(1, 12);
    line("Solve x^2 - ", p + q, "x + ", p * q, " = 0.");
    line("Two numbers with sum ", p + q, " and product ", p * q, " are ", p, " and ", q, ".");
    line("So (x - ", p, ")(x - ", q, ") = 0.");
    line(p == q ? "The only solution is x = " + p + "." : "x = " + p + " or x = " + q + ".");
  }

  private void percentage() {
    int percent = random.between(1, 19) * 5;
    int whole = random.between(1, 60) * 20;
    int one = whole / 20;
    line("What is ", percent, "% of ", whole, "?");
    line("5% of ", whole, " is ", whole, " / 20 = ", one, ".");
    line(percent, "% is ", percent / 5, " times 5%.");
    line(percent / 5, " * ", one, " = ", percent / 5 * one, ".");
    line("Answer: ", percent / 5 * one, ".");
  }

  private void sequence() {
    int start = random.between(-30, 50);
    int step = random.between(2, 17);
    int n = random.between(6, 40);
    line(
        "The sequence ",
        start,
        ", ",
        start + step,
        ", ",
        start + 2 * step,
        ", ",
        start + 3 * step,
        " goes on. What is term ",
        n,
        "?");
    line("Each term is ", step, " more than the one before.");
    line("Term ", n, " = ", start, " + ", n - 1, " * ", step, " = ", start + (n - 1) * step, ".");
  }

  private void commonDivisor() {
    int factor = random.between(2, 20);
    int a = factor * random.between(2, 40);
    int b = factor * random.between(2, 40);
    line("Find the greatest common divisor of ", a, " and ", b, ".");
    int x = Math.max(a, b);
    int y = Math.min(a, b);
    while (y != 0) {
      line(x, " = ", x / y, " * ", y, " + ", x % y);
      int rest = x % y;
      x = y;
      y = rest;
    }
    line("The last divisor is ", x, ", so gcd(", a, ", ", b, ") = ", x, ".");
  }

  private void story() {
    String name = NAMES[random.nextInt(NAMES.length)];
    String things = THINGS[random.nextInt(THINGS.length)];
    int boxes = random.between(2, 15);
    int each = random.between(3, 24);
    int given = random.between(1, boxes * each - 1);
    line(
        name,
        " has ",
        boxes,
        " boxes with ",
        each,
        " ",
        things,
        " each and gives away ",
        given,
        ". How many ",
        things,
        " are left?");
    line("At first: ", boxes, " * ", each, " = ", boxes * each, " ", things, ".");
    line("After giving: ", boxes * each, " - ", given, " = ", boxes * each - given, ".");
    line(name, " has ", boxes * each - given, " ", things, " left.");
  }

  private static String number(int value) {
    return value < 0 ? "(" + value + ")" : String.valueOf(value);
  }

  private static int greatestCommonDivisor(int a, int b) {
    return b == 0 ? a : greatestCommonDivisor(b, a % b);
  }
}
